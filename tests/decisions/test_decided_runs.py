"""Decisions of runs: validation predictions, calibration, threshold and coverage, from fit to serve."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from noisy_tables import TARGETS, noisy, words
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit
from sklearn.metrics import accuracy_score, f1_score, log_loss

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.serve.load_predictor import open_answers
from experiments.serve.server_settings import Body, Settings

ALL = ("--model.calibration", "temperature", "--model.interval", "0.8")
OPTIONS = {
    "binary": (*ALL, "--model.threshold", "f1_binary"),
    "multiclass": ALL,
    "multilabel": ALL,
    "regression": ALL[2:],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decided")


@pytest.fixture(scope="module")
def trained(home: Path) -> Callable[[str, bool], Path]:
    """Returns the run of a task, with or without decisions, which are trained once."""

    def run(task: str, is_decided: bool) -> Path:
        name = f"{task}-{'decided' if is_decided else 'plain'}"
        folder = home / "runs" / "e" / name
        if not folder.exists():
            more = ("--experiment", "e", "--run", name, "--trainer.default_root_dir", str(home), "--figures", "false")
            options = OPTIONS[task] if is_decided else ()
            assert main(["fit", *words(task, home / f"{task}.csv", *options, *more)]) == 0
        return folder

    return run


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())  # type: ignore[no-any-return]


def columns(run: Path, name: str, column: str) -> Any:
    frame = polars.read_parquet(run / name)
    chosen = [each for each in frame.columns if each == column or each.startswith(f"{column}_")]
    return frame.select(chosen).to_numpy().squeeze()


@pytest.mark.parametrize("task", TARGETS)
def test_validation_predictions_are_those_of_the_chosen_checkpoint(trained: Any, task: str, home: Path) -> None:
    run = trained(task, True)
    split, found = polars.read_parquet(run / "split.parquet"), polars.read_parquet(run / "val_predictions.parquet")
    assert found["row"].to_list() == sorted(split.filter(part="val")["row"])
    rows = noisy(task)[found["row"].to_list()]
    again = load(run).predict(rows)
    names = {"binary": "probability_yes", "multiclass": "^probability_.*$", "multilabel": "^probability_.*$"}
    want = again.select(names.get(task, "prediction")).to_numpy().squeeze()
    got = columns(run, "val_predictions.parquet", "prediction")
    assert numpy.abs(got - want).max() <= 1e-5 * numpy.abs(want).max()
    test = polars.read_parquet(run / "predictions.parquet")
    assert found.schema == test.schema
    if task == "binary":
        truth = found["target"].to_numpy()
        assert accuracy_score(truth, got > 0.5) == pytest.approx(record(run)["chosen"]["value"])


def test_without_validation_rows_there_is_no_file(home: Path) -> None:
    more = ("--data.ratios", "[0.8,0,0.2]", "--trainer.default_root_dir", str(home), "--experiment", "v", "--run", "a")
    assert (
        main(["fit", *words("binary", home / "binary.csv", "--figures", "false", "--trainer.max_epochs", "1", *more)])
        == 0
    )
    assert not (home / "runs/v/a/val_predictions.parquet").exists()
    assert (home / "runs/v/a/predictions.parquet").exists()


@pytest.mark.parametrize("task", ["binary", "multiclass", pytest.param("multilabel", marks=pytest.mark.slow)])
def test_temperature_scales_what_the_same_run_without_it_predicts(trained: Any, task: str) -> None:
    plain, decided = trained(task, False), trained(task, True)
    one, other = (torch.load(run / "checkpoints/best.ckpt", weights_only=True) for run in (plain, decided))
    assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
    before, after = (columns(run, "val_predictions.parquet", "prediction") for run in (plain, decided))
    target = columns(plain, "val_predictions.parquet", "target").astype(int)
    logits = numpy.log(before) if task == "multiclass" else logit(before)

    def loss(logarithm: float) -> float:
        scaled = logits / math.exp(logarithm)
        if task == "multiclass":
            return -float(log_softmax(scaled, axis=1)[numpy.arange(len(target)), target].mean())
        return -float(numpy.log(numpy.where(target == 1, expit(scaled), expit(-scaled))).mean())

    found = record(decided)["decisions"]
    best = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded", options={"xatol": 1e-9})
    assert found["temperature"] == pytest.approx(math.exp(best.x), rel=1e-4)
    assert abs(found["temperature"] - 1) > 0.01
    assert found["log_loss"] == pytest.approx([loss(0), best.fun], rel=1e-6)
    scaled = logits / found["temperature"]
    want = numpy.exp(log_softmax(scaled, axis=1)) if task == "multiclass" else expit(scaled)
    assert numpy.abs(after - want).max() < 1e-9
    if task != "multilabel":
        metrics, test = record(decided)["metrics"], found["test"]
        truth, prediction = (columns(decided, "predictions.parquet", name) for name in ("target", "prediction"))
        assert metrics["test/log_loss"] == test["after"]["log_loss"] == pytest.approx(log_loss(truth, prediction))
        assert metrics["test/loss"] == pytest.approx(metrics["test/log_loss"], abs=1e-6)
        assert test["before"]["log_loss"] == pytest.approx(record(plain)["metrics"]["test/loss"], abs=1e-6)
        assert test["after"]["ece"] == metrics["test/ece"]
    if task == "multiclass":
        names = ("test/accuracy", "test/f1_macro")
        assert [record(plain)["metrics"][name] for name in names] == [metrics[name] for name in names]


def test_the_threshold_is_the_best_of_all_on_validation_rows(
    trained: Any, home: Path, compare_json: Callable[..., Any]
) -> None:
    plain, run = trained("binary", False), trained("binary", True)
    target, probability = (columns(run, "val_predictions.parquet", name) for name in ("target", "prediction"))
    threshold = record(run)["decisions"]["threshold"]
    best = max(f1_score(target, probability > other) for other in probability)
    assert f1_score(target, probability > threshold) == pytest.approx(best)
    assert threshold != 0.5
    truth, tested = (columns(run, "predictions.parquet", name) for name in ("target", "prediction"))
    metrics = record(run)["metrics"]
    assert metrics["test/f1_binary"] == pytest.approx(f1_score(truth, tested > threshold))
    assert metrics["test/accuracy"] == pytest.approx(accuracy_score(truth, tested > threshold))
    assert metrics["test/auroc"] == record(plain)["metrics"]["test/auroc"]
    assert record(run)["validation"]["f1_binary"] == pytest.approx(best)
    predicted = load(run).predict(noisy("binary"))
    assert predicted["prediction"].eq("yes").to_list() == (predicted["probability_yes"] > threshold).to_list()
    (block,) = compare_json(plain, run, "--metric", "f1_binary")["blocks"]
    means = sorted(group["mean"] for group in block["groups"])
    assert means == pytest.approx(sorted(each["test/f1_binary"] for each in (metrics, record(plain)["metrics"])))


def test_runs_of_one_seed_with_other_decisions_are_other_groups(trained: Any, compare_json: Callable[..., Any]) -> None:
    (block,) = compare_json(trained("multiclass", False), trained("multiclass", True))["blocks"]
    assert len(block["groups"]) == 2


@pytest.mark.parametrize("task", TARGETS)
def test_sets_and_intervals_are_those_computed_by_hand(trained: Any, task: str) -> None:
    run = trained(task, True)

    def scores(name: str) -> Any:
        target, prediction = (columns(run, name, column) for column in ("target", "prediction"))
        if task == "regression":
            return numpy.abs(target - prediction)
        if task == "multilabel":
            return 1 - numpy.where(target == 1, prediction, 1).min(axis=1)
        each = numpy.stack([1 - prediction, prediction], axis=1) if task == "binary" else prediction
        return 1 - each[numpy.arange(len(target)), target.astype(int)]

    validation, found = numpy.sort(scores("val_predictions.parquet")), record(run)["decisions"]
    quantile = validation[math.ceil((len(validation) + 1) * 0.8) - 1]
    assert found["test"]["coverage"] == pytest.approx((scores("predictions.parquet") <= quantile + 1e-12).mean())
    assert 0.7 < found["test"]["coverage"] < 0.9
    predicted = load(run).predict(noisy(task))
    if task == "regression":
        assert found["rule"]["margins"] == [pytest.approx(quantile)]
        for name, sign in (("lower", -1), ("upper", 1)):
            bound = predicted["prediction"] + sign * quantile
            assert numpy.abs((predicted[name] - bound).to_numpy()).max() < 1e-6
        return
    assert found["rule"]["least_probability"] == pytest.approx(1 - quantile)
    names = [name.removeprefix("in_set_") for name in predicted.columns if name.startswith("in_set_")]
    for name in names:
        inside = predicted[f"probability_{name}"] >= found["rule"]["least_probability"]
        assert predicted[f"in_set_{name}"].eq(1).to_list() == inside.to_list()
    assert len(names) == (3 if task == "multiclass" else 2)


EXPORTS = [("binary", "onnx"), ("multiclass", "onnx"), ("multilabel", "safetensors"), ("regression", "torch-export")]


@pytest.mark.parametrize(
    ("task", "format"),
    [("binary", "torch-export"), *(pytest.param(*each, marks=pytest.mark.slow) for each in EXPORTS)],
)
def test_an_export_and_a_server_answer_as_predict_does(trained: Any, task: str, format: str, tmp_path: Path) -> None:
    alone = tmp_path / "best.ckpt"  # which needs no run
    shutil.copy(trained(task, True) / "checkpoints/best.ckpt", alone)
    output, rows = tmp_path / "out", noisy(task, 60, seed=5)
    assert main(["export", "--ckpt_path", str(trained(task, True)), "--format", format, "--output", str(output)]) == 0
    assert main(["export", "--verify", str(output)]) == 0
    want, got = load(alone).predict(rows), load_export(output).predict(rows)
    assert got.schema == want.schema
    floats = [name for name, kind in want.schema.items() if kind.is_float()]
    scale = numpy.abs(want["prediction"].to_numpy()).max() if task == "regression" else 1
    assert numpy.abs(got.select(floats).to_numpy() - want.select(floats).to_numpy()).max() <= 1e-5 * scale
    assert got.select(set(want.columns) - {*floats}).equals(want.select(set(want.columns) - {*floats}))
    decisions, found = json.loads((output / "signature.json").read_text())["decisions"], record(trained(task, True))
    assert decisions == found["decisions"]["rule"]
    assert f"{decisions['coverage']:g} of rows" in (output / "MODEL_CARD.md").read_text()
    for path in (alone, output):
        answers, about = open_answers(Settings((str(path),), "auto"))
        body = json.dumps({"rows": rows.drop(TARGETS[task]).to_dicts()}).encode()
        (reply,) = answers([Body("application/json", body)])
        assert about["signature"]["decisions"] == decisions
        served = reply.content["predictions"]
        if task == "regression":
            assert [row["lower"] for row in served] == pytest.approx(want["lower"].to_list(), rel=1e-4, abs=1e-3)
            continue
        names = [name.removeprefix("in_set_") for name in want.columns if name.startswith("in_set_")]
        sets = [[name for name in names if row[f"in_set_{name}"]] for row in want.to_dicts()]
        assert [row["set"] for row in served] == sets


def test_edited_decisions_of_a_signature_are_refused(trained: Any, tmp_path: Path) -> None:
    from datamodules import DataError
    from experiments.export import artifact

    output = tmp_path / "out"
    words = ["export", "--ckpt_path", str(trained("binary", True)), "--format", "state-dict", "--output", str(output)]
    assert main(words) == 0
    about = {**artifact.read(output)}
    for name, value in {"threshold": 2, "temperature": 0, "coverage": None, "margins": [1.0]}.items():
        artifact.write(output, {**about, "decisions": {**about["decisions"], name: value}})
        with pytest.raises(DataError, match="decisions"):
            artifact.read(output)


def test_a_checkpoint_tests_and_validates_alone(trained: Any, capfd: pytest.CaptureFixture[str]) -> None:
    run = trained("binary", True)
    assert main(["test", "--ckpt_path", str(run)]) == 0
    assert f"{record(run)['metrics']['test/f1_binary']:.4f}"[1:] in capfd.readouterr().out
    assert main(["validate", "--ckpt_path", str(run)]) == 0
    assert f"{record(run)['validation']['f1_binary']:.4f}"[1:] in capfd.readouterr().out


def test_a_resumed_run_has_the_decisions_of_the_uninterrupted_one(tmp_path: Path, home: Path) -> None:
    found = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        more = ("--experiment", "e", "--run", "a", "--trainer.default_root_dir", str(tmp_path / name))
        typed = ["fit", *words("binary", home / "binary.csv", *OPTIONS["binary"], "--figures", "false", *more)]
        if name == "killed":
            short = [word if word != "6" else "3" for word in typed]
            assert main(short) == 0
        assert main(typed) == 0
        run = tmp_path / name / "runs/e/a"
        checkpoints = [
            torch.load(run / f"checkpoints/{file}.ckpt", weights_only=True)["decisions"] for file in ("best", "last")
        ]
        tables = [polars.read_parquet(run / file) for file in ("val_predictions.parquet", "predictions.parquet")]
        found.append((checkpoints, record(run)["decisions"], record(run)["metrics"], tables))
    assert found[0][:3] == found[1][:3]
    assert all(one.equals(other) for one, other in zip(found[0][3], found[1][3], strict=True))


@pytest.mark.parametrize(
    ("task", "options", "reason"),
    [
        ("regression", ALL[:2], "a temperature divides logits, and a regression task has none"),
        ("multiclass", ("--model.threshold", "f1_binary"), "the second of two classes, and the task is multiclass"),
        ("binary", ("--model.interval", "1.5"), "must be above 0 and below 1, and it is 1.5"),
        ("binary", ("--model.interval", "0.999"), "takes at least 999 validation rows, and there are 120"),
        ("binary", (*ALL, "--data.ratios", "[0.8,0,0.2]"), "is decided by validation rows, and there are none"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    refused: Callable[..., str], tmp_path: Path, task: str, options: tuple[str, ...], reason: str
) -> None:
    assert reason in refused(*words(task, tmp_path / "rows.csv", *options))


def test_decisions_that_a_checkpoint_lacks_are_refused(trained: Any, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--model.interval", "0.9", "--allow_change", "model.interval"]
    for is_decided in (False, True):
        with pytest.raises(SystemExit, match="2"):
            main(["test", "--ckpt_path", str(trained("multiclass", is_decided)), *words])
        assert "the checkpoint has no values for" in capfd.readouterr().err
