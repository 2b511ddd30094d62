"""A run whose record or kept test rows are damaged: a sentence with the file, and exit code 2."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hostile_runs import refusal, train
from kept_folder import KeptFolder
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

Rows = dict[str, Tensor]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> KeptFolder:
    return KeptFolder(tmp_path_factory, lambda: train(Path.cwd()))


@pytest.fixture
def run(trained: KeptFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the run back where it was trained, in what becomes the working directory; returns its folder."""
    return trained.put_back(monkeypatch) / "runs/e/a"


def export(capfd: pytest.CaptureFixture[str], run: Path) -> str:
    words = ("--format", "safetensors", "--output", "out")
    message = refusal(capfd, "export", "--ckpt_path", str(run), *words)
    assert not Path("out").exists()
    return message


def change(name: str, edit: Callable[[Tensor], Tensor]) -> Callable[[Rows], Rows]:
    return lambda rows: {**rows, name: edit(rows[name]).contiguous()}


EDITS = {
    "category": change("categories", lambda values: values + 99),
    "negative": change("categories", lambda values: values - 9),
    "numbers": change("categories", lambda values: values.double()),
    "columns": change("x", lambda values: values.repeat(1, 3)),
    "axes": change("x", lambda values: values.flatten()),
    "count": change("x", lambda values: values[:3]),
    "row": change("row", lambda values: values.float()),
    "without": lambda rows: {name: value for name, value in rows.items() if name != "categories"},
    "nothing": lambda rows: {"other": torch.ones(1)},
}


@pytest.mark.parametrize("kind", EDITS)
def test_kept_test_rows(run: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    file = run / "test_rows.safetensors"
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    save_file(EDITS[kind](load_file(file)), file, about)
    assert "test_rows.safetensors is damaged" in export(capfd, run)


@pytest.mark.parametrize("text", ["half", "[]", "3", "{}", "[" * 10_000, '{"metrics": 3, "task": 4}', "\x80"])
def test_a_record(run: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    file = run / "record.json"
    whole = file.read_text()
    json.loads(whole)
    file.write_bytes(whole[: len(whole) // 2].encode() if text == "half" else text.encode("latin-1"))
    assert "record.json is damaged" in export(capfd, run)


@pytest.mark.parametrize("text", ["half", "[]", "{}"])
def test_a_record_of_a_run_that_is_to_go_on(run: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    file = run / "record.json"
    whole = file.read_text()
    file.write_text(whole[: len(whole) // 2] if text == "half" else text)
    words = ("--run", "a", "--experiment", "e", "--trainer.max_epochs", "2")
    assert "record.json is damaged" in refusal(capfd, "fit", *words)


@pytest.mark.parametrize("hidden", [[30_000, 30_000], [8] * 5_000, [10**12], "text", [[8]]])
def test_hyper_parameters_of_another_network(run: Path, capfd: pytest.CaptureFixture[str], hidden: object) -> None:
    """A larger network than the weights are of is not built: it would fill the memory."""
    checkpoint = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    checkpoint["hyper_parameters"] |= {"hidden": hidden}
    del checkpoint["hyper_parameters"]["pair_buckets"]  # which a LitMLP does not have
    config = checkpoint["evenhand_config"].replace("LitLinear", "LitMLP")
    torch.save({**checkpoint, "evenhand_config": config}, "large.ckpt")
    message = refusal(capfd, "predict", "--ckpt_path", "large.ckpt", "--input", "t.csv")
    if hidden == [10**12]:
        assert "there is not enough memory" in message
        return
    assert "large.ckpt cannot be predicted with" in message
    assert "larger network than its weights" in message or hidden in ("text", [[8]])
