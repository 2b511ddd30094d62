"""``evenhand export``: what an artefact promises, and what is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from exported_runs import FORMATS, Finished, finished, numbers, words
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import REPOSITORY
from safetensors.torch import load_file
from tiny_data import QUICK

from datamodules import DataError
from experiments.__main__ import main
from experiments.export import artifact, load_export
from experiments.export.verification import verify
from experiments.run.record.export_samples import save_tensors


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(tmp_path_factory.mktemp("export") / "run", "table", "LitMLP")


@pytest.fixture(scope="module")
def artefacts(run: Finished) -> dict[str, Path]:
    """One of each format."""
    folders = {format: run.path.parent / format for format in FORMATS}
    for format, folder in folders.items():
        assert main(["export", "--ckpt_path", str(run.path), "--format", format, "--output", str(folder)]) == 0
    return folders


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``evenhand export`` that must end with exit code 2 and one sentence."""

    def run(*words: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["export", *words])
        message = capfd.readouterr().err.strip()
        assert stopped.value.code == 2, message
        assert len(message.splitlines()) == 1
        return message

    return run


def test_the_signature_and_the_card_say_what_is_known(artefacts: dict[str, Path], run: Finished) -> None:
    about = json.loads((artefacts["onnx"] / "signature.json").read_text())
    numeric, categories = about["inputs"]
    assert (numeric["name"], numeric["dtype"], numeric["shape"]) == ("x", "float64", ["batch", 3])
    assert numeric["features"] == ["age", "joined", "income"]
    assert numeric["units"] == {"joined": "days since 1970-01-01"}
    assert categories["categories"] == {"city": ["Lima", "Oslo", "Rome"], "member": ["false", "true"]}
    assert (about["task"], about["classes"], about["targets"]) == ("binary", ["no", "yes"], ["label"])
    assert about["run"]["id"] == "b/a"
    assert about["run"]["metrics"]["test/accuracy"] == run.record["metrics"]["test/accuracy"]
    assert {*about["files"]} == {"MODEL_CARD.md", "example.json", "model.onnx", "rows.safetensors"}
    assert torch.__version__.startswith(about["versions"]["torch"])  # PyPI's wheel has no +cu130 in its metadata
    card = (artefacts["onnx"] / "MODEL_CARD.md").read_text()
    accuracy, rows = run.record["metrics"]["test/accuracy"], len(run.recorded)
    # The Bayesian bootstrap's spread of a share is nearly the binomial one.
    low, high = about["run"]["intervals"]["accuracy"]
    assert (high - low) / 3.92 == pytest.approx((accuracy * (1 - accuracy) / rows) ** 0.5, rel=0.2)
    assert f"| test/accuracy | {accuracy:.6f} | {low:.4f} to {high:.4f} |" in card
    split = run.record["fingerprints"]["split"]
    assert all(word in card for word in ("70 train, 15 val, 15 test", split, "Limits", "15 of 15 test rows"))


def test_raw_numbers_go_into_the_graph(artefacts: dict[str, Path], run: Finished) -> None:
    """By ONNX Runtime alone, with what the signature says, of a row with a missing number."""
    import onnxruntime

    session = onnxruntime.InferenceSession(artefacts["onnx"] / "model.onnx")
    assert [(argument.name, argument.type, argument.shape) for argument in session.get_inputs()] == [
        ("x", "tensor(double)", ["batch", 3]),
        ("categories", "tensor(int64)", ["batch", 2]),
    ]
    frame = run.rows.with_columns(age=polars.when(polars.int_range(polars.len()) > 2).then("age"))
    ages, days = frame["age"].cast(polars.Float64).fill_null(numpy.nan), frame["joined"].cast(polars.Int32)
    x = numpy.stack([ages, days, frame["income"]], axis=1)
    city = [{"Lima": 2, "Oslo": 3, "Rome": 4, None: 1}[value] for value in frame["city"]]
    member = [2 + value for value in frame["member"]]
    (got,) = session.run(None, {"x": x.astype(float), "categories": numpy.stack([city, member], axis=1)})
    want = load_export(artefacts["safetensors"]).predict(frame)["probability_yes"]
    assert numpy.abs(got - want.to_numpy()).max() < 1e-6


def test_onnx_and_torch_export_need_neither_lightning_nor_the_training_code(
    artefacts: dict[str, Path], run: Finished, tmp_path: Path
) -> None:
    run.rows.write_csv(tmp_path / "new.csv")
    for format in ("onnx", "torch-export"):
        shutil.copytree(artefacts[format], tmp_path / format)
    alone = (
        "import sys\n"
        "for name in ('lightning', 'pytorch_lightning', 'lit_models', 'torchmetrics', 'jsonargparse'):\n"
        "    sys.modules[name] = None\n"
        "from experiments.export import load_export\n"
        "for format in ('onnx', 'torch-export'):\n"
        "    load_export(format).predict('new.csv').write_parquet(f'{format}.parquet')\n"
    )
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", alone], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for format in ("onnx", "torch-export"):
        got = polars.read_parquet(tmp_path / f"{format}.parquet")
        assert numpy.abs(numbers(got)[:, 1] - run.recorded["prediction"].to_numpy()).max() < 1e-5


def test_no_format_but_the_state_dict_holds_a_pickle(artefacts: dict[str, Path]) -> None:
    import pickletools
    import zipfile

    def pickled(content: bytes) -> bool:
        try:
            return len([*pickletools.genops(content)]) > 1
        except Exception:  # what is no pickle fails in every way
            return False

    for format, folder in artefacts.items():
        found = []
        for file in folder.iterdir():
            contents = [file.read_bytes()]
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    contents += [archive.read(name) for name in archive.namelist()]
            found += [file.name for content in contents if content[:1] == b"\x80" and pickled(content)]
        assert bool(found) == (format == "state-dict"), found
    state = torch.load(artefacts["state-dict"] / "model.pt", weights_only=True)
    assert {name: value.tolist() for name, value in state.items()} == {
        name: value.tolist() for name, value in load_file(artefacts["safetensors"] / "model.safetensors").items()
    }


def test_no_path_of_the_source_is_in_an_artefact(artefacts: dict[str, Path]) -> None:
    for file in (file for folder in artefacts.values() for file in folder.iterdir()):
        assert not any(word in file.read_bytes() for word in (str(REPOSITORY).encode(), b".py")), file


@settings(QUICK, max_examples=150)
@given(data=st.data())
def test_a_byte_changed_anywhere_is_refused(artefacts: dict[str, Path], data: st.DataObject) -> None:
    folder = artefacts[data.draw(st.sampled_from(FORMATS))]
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        file.write_bytes(changed)
        with pytest.raises(DataError, match=r"changed|none of ours"):
            verify(folder, [])
    finally:
        file.write_bytes(whole)


def test_a_tampered_artefact_is_refused_in_a_sentence(
    artefacts: dict[str, Path], fails: Callable[..., str], tmp_path: Path
) -> None:
    for name in ("signature.json", "model.onnx", "rows.safetensors"):
        folder = shutil.copytree(artefacts["onnx"], tmp_path / name)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        assert f"{name} was changed" in fails("--verify", str(folder))
        (folder / name).unlink()
        assert name in fails("--verify", str(folder))


def _signed_again(folder: Path, change: Callable[[dict[str, Any]], None] = lambda about: None) -> Path:
    about = json.loads((folder / "signature.json").read_text())
    del about["digest"]
    del about["files"]
    change(about)
    artifact.write(folder, about)
    return folder


def test_what_was_signed_again_must_still_answer_as_the_run_did(artefacts: dict[str, Path], tmp_path: Path) -> None:
    for format in ("safetensors", "onnx"):
        folder = shutil.copytree(artefacts[format], tmp_path / format)
        verify(_signed_again(folder), [])
    weights = load_file(tmp_path / "safetensors" / "model.safetensors")
    weights["network.body.head.bias"] += 0.01
    save_tensors(tmp_path / "safetensors" / "model.safetensors", weights)
    with pytest.raises(DataError, match="off the run at batch"):
        verify(_signed_again(tmp_path / "safetensors"), [])

    def better(about: dict[str, Any]) -> None:
        about["checked"]["metrics"]["accuracy"] = 0.99

    with pytest.raises(DataError, match=r"accuracy of the rows of .* and it was 0\.99"):
        verify(_signed_again(tmp_path / "onnx", better), [])


def test_an_artefact_that_answers_otherwise_is_not_written(
    run: Finished, fails: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from experiments.export import exporter

    eager = exporter.eager
    monkeypatch.setattr(exporter, "eager", lambda *given: eager(*given) + 2e-5)
    output = tmp_path / "deep" / "out"
    assert "2.0e-05 off the run" in fails(*words(run.path, output))
    assert not [*output.parent.iterdir()]


def test_a_checkpoint_alone_is_checked_on_made_up_rows(
    run: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(run.path / "checkpoints" / "best.ckpt", tmp_path)
    assert main(["export", *words(Path(alone), tmp_path / "out")]) == 0
    assert "64 made up rows, since the run's test rows are not beside the checkpoint" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "signature.json").read_text())
    assert about["checked"]["test_rows"] == 0
    assert "metrics" not in about["run"]
    assert "Unknown: the checkpoint stands alone" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert main(["export", "--verify", str(tmp_path / "out")]) == 0


def test_what_cannot_be_exported_is_said_in_a_sentence(
    run: Finished, artefacts: dict[str, Path], fails: Callable[..., str], tmp_path: Path
) -> None:
    assert "exists; name a folder that does not" in fails(*words(run.path, artefacts["onnx"]))
    assert "without checkpoints/best.ckpt" in fails(*words(tmp_path, tmp_path / "out"))
    assert "is no folder" in fails("--verify", str(tmp_path / "none"))
    assert "has no signature.json" in fails("--verify", str(tmp_path))
    (tmp_path / "signature.json").write_text("[]")
    assert "none of ours" in fails("--verify", str(tmp_path))
    with pytest.raises(DataError, match="column age"):
        load_export(artefacts["onnx"]).predict(run.rows.with_columns(age=polars.lit("old")))


def test_a_missing_extra_is_named(run: Finished, fails: Callable[..., str], monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "pip install '.[export]' in the checkout" in fails(*words(run.path, tmp_path / "out", "onnx"))
    assert not (tmp_path / "out").exists()
