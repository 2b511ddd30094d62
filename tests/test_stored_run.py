"""Runs, exports and configurations of an earlier version, kept in ``stored/``, still work.

``stored/make.py`` made them. Each command runs on a copy in another folder than the one that the checkpoints hold, and
without the training data where it needs none.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from diagonal import diagonal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lit_models
from experiments.__main__ import main
from experiments.export import load_export

STORED = Path(__file__).parent / "stored"
RUNS = Path("runs/stored")
FORMATS = ("onnx", "torch-export", "safetensors", "state-dict")
EPOCHS, STEPS_PER_EPOCH = 12, 6
ROUNDING = 1e-4
"""Of a metric behind twelve epochs on a processor with other instructions."""

CLASS_PATHS = [
    (option, path) for option, paths in json.loads((STORED / "class_paths.json").read_text()).items() for path in paths
]
REQUIRED = {
    "ImageData": "--data.path x.npz",
    "SeriesData": "--data.path x.npz",
    "StreamedArrays": "--data.path x.npy --data.labels y.npy",
    "StreamedTable": "--data.path x --data.target y",
    "TableData": "--data.path x.csv --data.target y",
    "TextData": "--data.path x.csv --data.text x --data.target y",
    "UEA": "--data.name GunPoint",
}
"""Arguments without a default."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with copies of the stored files."""
    shutil.copytree(STORED / "run_folders", tmp_path / RUNS)
    shutil.copytree(STORED / "exports", tmp_path / "exports")
    for file in STORED.glob("*.*"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RUNS / run / "record.json").read_text())
    return content


def assert_close(frame: polars.DataFrame, expected: polars.DataFrame) -> None:
    assert frame.columns == expected.columns
    for name in expected.columns:
        if name.startswith("probability"):
            assert frame[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-6), name
        else:
            assert frame[name].to_list() == expected[name].to_list(), name


def assert_same_outcome(run: str, metrics: dict[str, float], validation: dict[str, float]) -> None:
    content = record(run)
    assert content["status"] == "finished"
    assert content["metrics"] == pytest.approx(metrics, abs=ROUNDING)
    assert content["validation"] == pytest.approx(validation, abs=ROUNDING)


@pytest.mark.parametrize(
    ("checkpoint", "verb"), diagonal(["finished", "finished/checkpoints/best.ckpt", "modules"], ["test", "validate"])
)
def test_a_stored_checkpoint_is_evaluated(checkpoint: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = record(checkpoint.partition("/")[0])
    assert main([verb, "--ckpt_path", str(RUNS / checkpoint)]) == 0
    printed = dict(re.findall(r"((?:test|val)/\w+)\s*│\s*(\S+)", capsys.readouterr().out))
    found = {name: float(value) for name, value in printed.items()}
    if verb == "test":
        assert found == pytest.approx(content["metrics"], abs=1e-5)
    else:
        best = torch.load(RUNS / checkpoint.partition("/")[0] / "checkpoints/best.ckpt", weights_only=True)
        expected = {f"val/{name}": value for name, value in best["evenhand_record"]["validation"].items()}
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("run", ["finished", "modules"])
def test_a_stored_checkpoint_predicts_raw_rows(run: str) -> None:
    Path("flowers.csv").unlink()
    words = ["predict", "--ckpt_path", str(RUNS / run), "--input", "new.csv", "--output", "answers.csv"]
    assert main(words) == 0
    assert_close(polars.read_csv("answers.csv"), polars.read_csv(f"expected-{run}.csv"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_stored_export_is_verified_and_answers(name: str) -> None:
    Path("flowers.csv").unlink()
    shutil.rmtree("runs")
    assert main(["export", "--verify", f"exports/{name}"]) == 0
    answers = load_export(f"exports/{name}").predict(polars.read_csv("new.csv", try_parse_dates=True))
    assert_close(answers, polars.read_csv("expected-finished.csv"))


def test_a_stored_run_is_exported_and_checked_on_its_test_rows() -> None:
    Path("flowers.csv").unlink()
    words = ["export", "--ckpt_path", str(RUNS / "finished"), "--format", "safetensors", "--output", "new"]
    assert main(words) == 0
    checked = json.loads(Path("new/signature.json").read_text())["checked"]
    assert checked["rows"] == checked["test_rows"] == record("finished")["rows"]["test"]
    assert checked["metrics"]["accuracy"] == pytest.approx(record("finished")["metrics"]["test/accuracy"])


def test_an_interrupted_stored_run_resumes_within_its_epoch_and_ends_as_the_finished_one() -> None:
    interrupted, finished = record("interrupted"), record("finished")
    checkpoint = torch.load(RUNS / "interrupted/checkpoints/last.ckpt", weights_only=True)
    step = checkpoint["global_step"]
    assert interrupted["status"] == "interrupted"
    assert step % STEPS_PER_EPOCH
    assert main(["fit", "--run", "interrupted"]) == 0
    assert_same_outcome("interrupted", finished["metrics"], finished["validation"])
    (resumed,) = record("interrupted")["resumed"]
    assert resumed["step"] == step
    assert resumed["changed"] == {}
    assert record("interrupted")["epochs"] == EPOCHS
    assert record("interrupted")["seconds"] > checkpoint["evenhand_record"]["seconds"]
    events = EventAccumulator(str(RUNS / "interrupted")).Reload()
    for tag, points in json.loads(Path("curves.json").read_text()).items():
        found = {event.step: event.value for event in events.Scalars(tag)}
        assert found == pytest.approx({int(at): value for at, value in points.items() if int(at) >= step}, abs=ROUNDING)


def test_a_finished_stored_run_is_extended() -> None:
    before = record("finished")["seconds"]
    assert main(["fit", "--run", "finished", "--trainer.max_epochs", str(EPOCHS + 2)]) == 0
    assert record("finished")["epochs"] == EPOCHS + 2
    (resumed,) = record("finished")["resumed"]
    assert resumed["step"] == EPOCHS * STEPS_PER_EPOCH
    assert [*resumed["changed"]] == ["trainer.max_epochs"]
    assert record("finished")["seconds"] > before


@pytest.mark.parametrize("run", ["finished", "modules"])
def test_the_configuration_of_a_stored_run_repeats_it(run: str) -> None:
    stored = record(run)
    assert main(["fit", "-c", str(RUNS / run / "config.yaml"), "--run", "again"]) == 0
    assert_same_outcome("again", stored["metrics"], stored["validation"])
    assert record("again")["fingerprints"] == stored["fingerprints"]
    assert record("again")["hyperparameters"].items() >= stored["hyperparameters"].items()  # old records have fewer


def test_stored_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "runs/stored", "--metric", "log_loss", "--format", "json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    (block,) = compared["blocks"]
    found = {group["best_run"]: group["mean"] for group in block["groups"]}
    frames = {run: polars.read_parquet(RUNS / run / "predictions.parquet") for run in ("finished", "modules")}
    assert found == pytest.approx({str(RUNS / run): log_loss(frame) for run, frame in frames.items()}, abs=1e-5)
    assert "interrupted" in str(compared["left_out"])


def log_loss(frame: polars.DataFrame) -> float:
    """The mean negative logarithm of the target's probability."""
    probability = polars.coalesce(
        polars.when(polars.col("target") == index).then(polars.col(f"prediction_{name}"))
        for index, name in enumerate(("iris", "poppy", "tulip"))
    )
    return float(frame.select(-probability.log().mean()).item())


@pytest.mark.parametrize("spelling", ["short", "packages", "modules"])
def test_a_stored_configuration_fits_however_it_names_its_classes(spelling: str) -> None:
    assert main(["fit", "-c", f"{spelling}.yaml", "--experiment", "e", "--run", spelling, "--figures", "false"]) == 0
    content = json.loads(Path(f"runs/e/{spelling}/record.json").read_text())
    assert content["status"] == "finished"
    assert content["model"] == "LitMLP"


@pytest.mark.parametrize(("option", "path"), CLASS_PATHS)
def test_a_class_is_found_by_its_stored_path(option: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"data": "TableData", "model": "LitMLP", option: path}
    typed = [word for name, value in words.items() for word in (f"--{name}", value)]
    typed += REQUIRED.get(words["data"].rpartition(".")[2], "").split()
    with pytest.raises(SystemExit) as stopped:
        main(["validate", *typed, "--print_config"])  # which reads no data
    assert stopped.value.code in (None, 0), capsys.readouterr().err
    assert path.rpartition(".")[2] in capsys.readouterr().out


def test_weights_keep_their_names_and_shapes() -> None:
    for cell in json.loads((STORED / "state_names.json").read_text()):
        model = getattr(lit_models, cell["model"])(**cell["arguments"])
        found = {name: "x".join(map(str, tensor.shape)) for name, tensor in model.state_dict().items()}
        assert found == cell["weights"], cell["model"]
