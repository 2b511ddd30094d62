"""Checks of method find what they are for in made runs, and nothing in runs as they should be."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.run.record.method_checks import (
    ADVICE,
    ANNEALED,
    check_run,
    lines_of_groups,
    lines_of_run,
    on_the_edge,
)

NOWHERE = Path("no folder")


def record(accuracy: float = 0.9, val: float | None = 0.9, rows: int = 200, **changes: Any) -> dict[str, Any]:
    return {
        "status": "finished",
        "task": "binary",
        "rank_by": "test/accuracy",
        "rows": {"train": 900, "val": rows, "test": rows},
        "fingerprints": {"data": "d", "split": "s"},
        "metrics": {"test/accuracy": accuracy},
        "validation": None if val is None else {"accuracy": val},
        "hyperparameters": {},
        "chosen": {"epoch": 7, "step": 70, "monitor": "val/accuracy", "value": val},
        "epochs": 10,
        "stopped": "at its last epoch",
        **changes,
    }


def predictions(seed: int, rows: int = 200, accuracy: float = 0.9) -> tuple[Any, Any]:
    """Returns classes and probabilities of class 1, of which a fraction is right."""
    random = numpy.random.default_rng(seed)
    target = random.integers(0, 2, rows)
    right = numpy.arange(rows) < round(accuracy * rows)
    return target, numpy.where(random.permutation(right), target, 1 - target) * 0.8 + 0.1


def found(seed: int = 0, experiment: Path = NOWHERE, names: tuple[str, ...] = ("no", "yes"), **changes: Any) -> Any:
    content = record(**changes)
    target, prediction = predictions(seed, content["rows"]["test"], content["metrics"]["test/accuracy"])
    return check_run(content, target, prediction, names, experiment)


@given(st.integers(0, 999), st.sampled_from([60, 200, 1000]), st.floats(0.6, 1), st.booleans())
@QUICK
def test_a_run_as_it_should_be_has_no_finding(seed: int, rows: int, accuracy: float, early: bool) -> None:
    accuracy = round(accuracy * rows) / rows
    stop = {"stopped": "after 5 checks without a lower val/loss"} if early else {}
    val = accuracy + numpy.random.default_rng(seed).uniform(-1, 1) * (accuracy * (1 - accuracy) / rows) ** 0.5
    assert found(seed, accuracy=accuracy, val=val, rows=rows, **stop) == {}


# The last epoch


def test_the_best_epoch_is_the_last_one() -> None:
    findings = found(chosen={"epoch": 10, "monitor": "val/accuracy", "value": 0.9})
    assert findings == {"last epoch": "the best epoch is the last one, 10 of 10"}
    (line,) = lines_of_run(findings)
    assert line.startswith("check: the best epoch is the last one, 10 of 10; train longer")
    assert "--trainer.max_epochs" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"stopped": "after 3 checks without a lower val/loss"},
        {"chosen": {"epoch": 10, "monitor": "train/loss", "value": 0.1}},
        {"chosen": None},
        {"epochs": 1, "chosen": {"epoch": 1, "monitor": "val/loss", "value": 0.1}},
        *({"hyperparameters": {"model.schedule.scheduler": name}} for name in ANNEALED),
    ],
)
def test_a_last_epoch_that_had_to_be_the_best_is_no_finding(changes: dict[str, Any]) -> None:
    assert found(**{"chosen": {"epoch": 10, "monitor": "val/accuracy", "value": 0.9}} | changes) == {}


def test_a_plateau_schedule_does_not_end_at_its_lowest_rate() -> None:
    options = {"model.schedule.scheduler": "ReduceLROnPlateau"}
    assert found(chosen={"epoch": 10, "monitor": "val/loss", "value": 0.1}, hyperparameters=options)


# Validation and test


@given(st.integers(0, 999), st.floats(0.55, 0.9))
@QUICK
def test_validation_and_test_apart_by_more_than_both_intervals(seed: int, accuracy: float) -> None:
    accuracy = round(accuracy * 200) / 200
    both = 2 * 1.96 * (accuracy * (1 - accuracy) / 200) ** 0.5
    far, near = (found(seed, accuracy=accuracy, val=accuracy + sign * both) for sign in (1.4, 0.6))
    assert "accuracy is" in far["gap"]
    assert "beyond their 95 % intervals" in far["gap"]
    assert near == {}
    assert "gap" in found(seed, accuracy=accuracy, val=accuracy - 1.4 * both)


def test_the_gap_is_in_the_units_of_a_regression_and_none_is_found_without_validation_rows() -> None:
    random = numpy.random.default_rng(0)
    target = random.normal(size=(300, 1))
    prediction = target + random.normal(size=(300, 1))
    rmse = float(((target - prediction) ** 2).mean() ** 0.5)
    content = record(rows=300, task="regression", rank_by="test/rmse", metrics={"test/rmse": rmse})
    for val, fires in ((1.02 * rmse, False), (1.6 * rmse, True), (float("nan"), False), (None, False)):
        content["validation"] = None if val is None else {"rmse": val}
        assert ("gap" in check_run(content, target, prediction, (), NOWHERE)) is fires
    without = content | {"rows": {"train": 9, "val": 0, "test": 300}, "validation": {"rmse": 9.0}}
    assert check_run(without, target, prediction, (), NOWHERE) == {}


def test_undefined_metrics_are_no_finding() -> None:
    content = record() | {"metrics": {"test/accuracy": float("nan")}}
    assert check_run(content, *predictions(0), ("no", "yes"), NOWHERE) == {}


# Classes


@pytest.mark.parametrize("shape", [(200,), (200, 1)])
def test_a_class_that_is_never_predicted_is_named_with_its_rows(shape: tuple[int, ...]) -> None:
    target = (numpy.arange(200) < 20).astype(int)
    findings = check_run(record(), target, numpy.full(shape, 0.1), ("no", "yes"), NOWHERE)
    assert findings["never predicted"] == "class yes is never predicted, and 20 of 200 test rows have it"
    assert "--model.class_weights true" in lines_of_run(findings)[0]


def test_several_classes_and_labels_are_named_and_those_of_few_rows_are_not() -> None:
    target = numpy.repeat([0, 1, 2, 3], [100, 50, 46, 4])
    content = record(task="multiclass", rank_by="test/none")
    everything = numpy.tile([0.7, 0.1, 0.1, 0.1], (200, 1))
    findings = check_run(content, target, everything, ("a", "b", "c", "d"), NOWHERE)
    assert findings == {"never predicted": "classes b, c are never predicted, and 96 of 200 test rows have one of them"}
    labels = numpy.stack([target == 0, target == 1], axis=1).astype(int)
    content = record(task="multilabel", rank_by="test/none")
    findings = check_run(content, labels, numpy.tile([0.9, 0.2], (200, 1)), ("x", "y"), NOWHERE)
    assert findings == {"never predicted": "label y is never predicted, and 50 of 200 test rows have it"}
    assert check_run(content, labels, labels * 0.8, ("x", "y"), NOWHERE) == {}


# The floor


def baseline(experiment: Path, accuracy: float, name: str = "logistic", **changes: Any) -> None:
    folder = experiment / f"{name}-seed0"
    folder.mkdir(parents=True, exist_ok=True)
    content = record(accuracy) | {"model": name.replace("-", " ")} | changes
    (folder / "record.json").write_text(json.dumps(content))


def test_a_baseline_that_is_better_by_more_than_chance_is_the_floor(tmp_path: Path) -> None:
    baseline(tmp_path, 0.93)
    assert found(experiment=tmp_path) == {}
    baseline(tmp_path, 0.98, "random-forest")
    baseline(tmp_path, 0.99, "gradient-boosting")
    floor = "the floor is better: gradient boosting has accuracy 0.9900, and this run 0.9000"
    assert found(experiment=tmp_path) == {"floor": floor}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "running"},
        {"fingerprints": {"data": "other", "split": "s"}},
        {"rows": {"train": 90, "val": 200, "test": 200}},
        {"rank_by": "test/auroc"},
        {"metrics": {}},
        {"metrics": {"test/accuracy": None}},
    ],
)
def test_a_baseline_of_other_rows_or_a_damaged_one_is_no_floor(tmp_path: Path, changes: dict[str, Any]) -> None:
    baseline(tmp_path, 0.99, **changes)
    (tmp_path / "ridge-seed0").mkdir()
    (tmp_path / "ridge-seed0" / "record.json").write_text("{")
    assert found(experiment=tmp_path) == {}


# Several runs


def test_groups_have_a_line_for_each_kind_with_their_labels_and_none_without_findings() -> None:
    finding = {"last epoch": "the best epoch is the last one, 3 of 3"}
    lines = lines_of_groups([("A", [finding, {}]), ("B", [{}]), ("C", [finding | {"gap": "g"}])])
    assert [line.split(";")[0] for line in lines] == [
        "check: the best epoch is the last one in 2 of 4 runs (A, C)",
        "check: validation and test differ by more than their intervals in 1 of 4 runs (C)",
    ]
    assert lines_of_groups([("A", [{}, {}])]) == []
    assert lines_of_run({}) == lines_of_run({"of a later version": "x"}) == []
    (line,) = lines_of_groups([(name, [finding]) for name in "ABCDE"])
    assert "in 5 of 5 runs (A, B, C ...)" in line
    assert all("\n" not in text for texts in ADVICE.values() for text in texts)


# The edge of a searched range


@pytest.mark.parametrize(
    ("value", "low", "high", "is_log", "is_whole", "side"),
    [
        (0.099, 1e-4, 1e-1, True, False, "upper"),
        (1.05e-4, 1e-4, 1e-1, True, False, "lower"),
        (1e-2, 1e-4, 1e-1, True, False, ""),
        (0.03, 1e-4, 1e-1, True, False, ""),
        (0.495, 0.0, 0.5, False, False, "upper"),
        (0.001, 0.0, 0.5, False, False, ""),
        (0.25, 0.0, 0.5, False, False, ""),
        (4, 1, 4, False, True, "upper"),
        (1, 1, 4, False, True, ""),
        (2, 2, 4, False, True, "lower"),
        (3, 1, 4, False, True, ""),
        (512, 16, 512, True, True, "upper"),
        (511, 16, 512, True, True, ""),
    ],
)
def test_a_chosen_value_at_the_edge_of_its_range_is_named(
    value: float, low: float, high: float, is_log: bool, is_whole: bool, side: str
) -> None:
    line = on_the_edge("model.x", value, low, high, is_log, is_whole)
    assert bool(line) is bool(side)
    assert (f"is at the {side} edge of its range" in line) is bool(side)


# A real run


def test_fit_prints_its_findings_and_records_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "--data Digits --model LitLinear --model.schedule null --model.optimizer.lr 1e-4 --trainer.max_epochs 2"
    assert main(["fit", *words.split(), "--run=r", "--seed_everything=0", "--figures=false"]) == 0
    printed = capsys.readouterr().out
    checks = json.loads(Path("runs/digits/r/record.json").read_text())["checks"]
    assert checks["last epoch"] == "the best epoch is the last one, 2 of 2"
    assert "check: the best epoch is the last one, 2 of 2; train longer" in printed
    assert main(["compare", "runs/digits"]) == 0
    assert "check: the best epoch is the last one in 1 of 1 runs (LitLinear)" in capsys.readouterr().out
