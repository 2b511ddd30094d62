"""Weights of a file or of a run start a training: matched by name and shape, refused in a sentence, read once."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import save_file
from tiny_data import PLAIN, QUICK, model_for, quiet_trainer, small_data
from torch import Tensor, nn

from experiments.__main__ import main
from experiments.inference import load
from experiments.run.checkpoints.checkpoint_io import read
from lit_models import ConfigError, LitMLP
from lit_models.training.pretrained_weights import load_weights, renamed

TINY = ["--data", "Tiny", "--model", "LitMLP", "--model.hidden", "[8]", "--seed_everything", "1", *PLAIN]
FACTS: dict[str, Any] = {"task": "multiclass", "modality": "table", "input_shape": (4,)}
MODEL = LitMLP(**FACTS, num_outputs=3, hidden=[8])


def mlp(outputs: int = 3) -> LitMLP:
    torch.manual_seed(7)
    return LitMLP(**FACTS, num_outputs=outputs, hidden=[8])


def file_of(folder: Path, content: Any, name: str = "weights.pt") -> str:
    torch.save(content, folder / name)
    return str(folder / name)


def assert_same(model: nn.Module, state: dict[str, Tensor]) -> None:
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0, msg=name)


PREFIXES = st.lists(st.sampled_from(["module", "model", "_orig_mod", "network", "net"]), max_size=2)


@QUICK
@given(prefix=PREFIXES, inner=st.booleans(), extra=st.booleans())
def test_prefixes_of_other_programs_are_replaced(prefix: list[str], inner: bool, extra: bool) -> None:
    ours = MODEL.state_dict()
    stripped = "network." if inner else ""
    theirs = {".".join([*prefix, name.removeprefix(stripped)]): value for name, value in ours.items()}
    found = renamed(theirs | ({"temperature": torch.ones(1)} if extra else {}), ours)
    assert {name: value for name, value in found.items() if name in ours} == ours


@pytest.mark.parametrize("keys", [(), ("state_dict",), ("net",), ("model", "module")])
def test_a_state_dict_is_found_below_the_usual_keys(keys: tuple[str, ...], tmp_path: Path) -> None:
    state: Any = mlp().state_dict()
    content = state
    for key in reversed(keys):
        content = {"epoch": 3, "best": torch.tensor(0.9), "optimizer": {"state": {0: torch.ones(2)}}, key: content}
    model = LitMLP(**FACTS, num_outputs=3, hidden=[8])
    loaded = load_weights(model, file_of(tmp_path, content), partial=False)
    assert_same(model, state)
    assert loaded.sha256 == hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()


@pytest.mark.parametrize("write", ["safetensors", "legacy", "half"])
def test_formats_and_narrower_numbers_are_read(write: str, tmp_path: Path) -> None:
    state = {name: value.half() if value.is_floating_point() else value for name, value in mlp().state_dict().items()}
    path = tmp_path / ("weights.safetensors" if write == "safetensors" else "weights.pth")
    if write == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=write == "half")
    model = LitMLP(**FACTS, num_outputs=3, hidden=[8])
    load_weights(model, str(path), partial=False)
    assert_same(model, {name: value.to(MODEL.state_dict()[name].dtype) for name, value in state.items()})


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(mlp().network.body.head.weight.detach().numpy().tobytes())] ^= 1
    path.write_bytes(content)


def write_case(folder: Path, case: str) -> str:
    state, path = mlp().state_dict(), folder / "weights.pt"
    if case == "missing":
        return str(path)
    if case == "folder":
        return str(folder)
    if case == "pipe":
        os.mkfifo(path)
        return str(path)
    if case == "code in a pickle":
        path.write_bytes(pickle.dumps({"state_dict": Harmful()}))
        return str(path)
    if case == "code":
        torch.save({"state_dict": Harmful()}, path)
        return str(path)
    if case == "text":
        path.write_text("weights\n")
        return str(path)
    if case == "truncated safetensors":
        path = path.with_suffix(".safetensors")
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:-9])
        return str(path)
    head = "network.body.head.weight"
    contents: dict[str, Any] = {
        "no state dict": {"lr": 0.1, "epochs": [1, 2]},
        "a tensor": torch.ones(3),
        "empty": {},
        "other network": {"conv1.weight": torch.ones(2, 2)},
        "not finite": state | {head: torch.full((3, 8), torch.nan)},
        "overflow": state | {head: torch.full((3, 8), 1e300, dtype=torch.float64)},
        "lacking": {name: value for name, value in state.items() if name != head},
        "unexpected": state | {"network.body.more.weight": torch.ones(2)},
        "other shape": state | {head: torch.ones(10, 8)},
        "whole numbers": state | {head: torch.ones(3, 8, dtype=torch.int8)},
        "sparse": state | {head: torch.ones(3, 8).to_sparse()},
    }
    file_of(folder, contents.get(case, state))
    if case == "flipped bit":
        flipped(path)
    if case == "cut off":
        path.write_bytes(path.read_bytes()[:-500])
    return str(path)


REFUSED = {
    "missing": "weights.pt does not exist; name a file of weights, or the folder of a run",
    "folder": "is a folder without checkpoints/best.ckpt and without model.safetensors",
    "pipe": "is no regular file",
    "code": "it holds more than tensors and plain data, and nothing in it was run; save a state_dict() alone",
    "code in a pickle": "it is damaged, or holds more than tensors and plain data, and nothing in it was run",
    "truncated safetensors": "it is damaged",
    "text": "it is damaged, or holds more than tensors",
    "flipped bit": "it is damaged",
    "cut off": "it is damaged, or",
    "no state dict": "holds no state dict, which is a dictionary of tensors by name: it holds lr, epochs",
    "a tensor": "holds no state dict, which is a dictionary of tensors by name: it holds Tensor",
    "empty": "holds no state dict",
    "other network": "has the name and the shape of one of this LitMLP: it has conv1.weight, and the model has",
    "not finite": "network.body.head.weight is not finite",
    "overflow": "network.body.head.weight is not finite",
    "lacking": "does not fit this LitMLP: it lacks network.body.head.weight; to load the 7 tensors that fit, add "
    "--model.weights_partial true",
    "unexpected": "does not fit this LitMLP: only it has network.body.more.weight; to load the 8 tensors that fit",
    "other shape": "network.body.head.weight is (10, 8) float32 in it and (3, 8) float32 here; to load the 7",
    "whole numbers": "network.body.head.weight is (3, 8) int8 in it and (3, 8) float32 here",
    "sparse": "network.body.head.weight is (3, 8) float32 sparse in it and (3, 8) float32 here",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_or_does_not_fit_is_one_sentence(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        load_weights(mlp(), write_case(tmp_path, case), partial=False)
    assert REFUSED[case] in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "harmed").exists()


def test_a_network_with_other_classes_keeps_its_own_head(tmp_path: Path) -> None:
    theirs = LitMLP(**FACTS, num_outputs=5, hidden=[8]).state_dict()
    model = mlp()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loaded = load_weights(model, file_of(tmp_path, theirs), partial=True)
    assert [text.partition(" ")[0] for text in loaded.mismatched] == [
        "network.body.head.weight",
        "network.body.head.bias",
    ]
    assert_same(model, theirs | {name: before[name] for name in before if ".head." in name})


@pytest.mark.parametrize("case", ["not finite", "other network"])
def test_partial_weights_are_refused_too_if_nothing_fits_or_is_finite(case: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_weights(mlp(), write_case(tmp_path, case), partial=True)


DATA = small_data(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3)


def trained(model: LitMLP, **kwargs: Any) -> LitMLP:
    quiet_trainer(max_epochs=1, **kwargs).fit(model, DATA)
    return model


def test_weights_are_read_once_and_never_replace_others(tmp_path: Path) -> None:
    path = file_of(tmp_path, mlp().state_dict())
    model = trained(model_for(DATA, LitMLP, hidden=[8], weights=path))
    (tmp_path / "weights.pt").unlink()
    trained(model)  # goes on with its own
    restored = model_for(DATA, LitMLP, hidden=[8], weights=path)
    restored.load_state_dict(model.state_dict())
    trained(restored, limit_train_batches=1)
    with pytest.raises(ConfigError, match="does not exist"):
        trained(model_for(DATA, LitMLP, hidden=[8], weights=path))


def test_an_average_starts_from_the_weights(tmp_path: Path) -> None:
    state = mlp().state_dict()
    model = model_for(DATA, LitMLP, hidden=[8], weights=file_of(tmp_path, state))
    average = EMAWeightAveraging(update_starting_at_step=1000)
    trained(model, callbacks=[average])
    assert_same(model, state)  # at the end the model gets its average, which no step has moved


@pytest.fixture
def base(fit: Fit) -> Path:
    """Returns the folder of a run."""
    path: Path = fit(*TINY, "--trainer.max_epochs", "2", "--run", "base")["path"]
    return path


def test_a_run_starts_another_one_and_is_not_needed_after(
    base: Path, fit: Fit, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = read(base / "checkpoints/best.ckpt")["state_dict"]
    words = [*TINY, "--model.weights", str(base), "--trainer.max_epochs", "1", "--run", "tuned"]
    made = fit(*words, "--model.optimizer.lr", "0", "--model.norm", "batch")
    state = read(made["path"] / "checkpoints/best.ckpt")["state_dict"]
    for name, value in best.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(state[name], value), name
    file = base / "checkpoints/best.ckpt"
    assert made["weights"]["file"] == str(file)
    assert made["weights"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"sha256 {made['weights']['sha256'][:12]}" in made["notes"][0]
    shutil.rmtree(base)
    again = ["--run", "tuned", "--experiment", "tiny", "--trainer.max_epochs", "2", "--figures", "false"]
    assert main(["fit", "--trust", "tiny_package", *again, "--trainer.default_root_dir", str(root)]) == 0
    record = json.loads((made["path"] / "record.json").read_text())
    assert record["weights"] == made["weights"]
    assert record["resumed"]
    capsys.readouterr()
    assert main(["test", "--trust", "tiny_package", "--ckpt_path", str(made["path"])]) == 0
    assert str(record["metrics"]["test/loss"])[:5] in capsys.readouterr().out
    assert "weights" not in load(made["path"], trust=["tiny_package"]).model.hparams


def test_another_split_of_the_same_data_is_a_leak_that_is_noted(base: Path, fit: Fit) -> None:
    words = [*TINY, "--model.weights", str(base), "--trainer.max_epochs", "1"]
    assert not any(line.startswith("leak") for line in fit(*words, "--run", "same")["notes"])
    notes = fit(*words, "--data.split_seed", "5", "--run", "other")["notes"]
    assert any(line.startswith("leak: the weights of") for line in notes)


def test_the_command_refuses_before_anything_is_written(refused: Callable[..., str], tmp_path: Path) -> None:
    message = refused(*TINY, "--model.weights", str(tmp_path / "none.pt"))
    assert message.splitlines()[-1].startswith("error: --model.weights")
    assert "weights_partial needs weights to load" in refused(*TINY, "--model.weights_partial", "true")
