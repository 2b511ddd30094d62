"""Intervals of ``evenhand compare`` over few seeds and over several splits, against scipy and the papers' formulas.

Every test row of a run has the same error, so that which rows were drawn adds nothing to a variance.
"""

from itertools import count
from pathlib import Path
from typing import Any

import numpy
import pytest
from handmade_runs import record_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from tiny_data import QUICK

FEW = settings(QUICK, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
ERRORS = st.lists(st.floats(0.1, 2.0), min_size=4, max_size=6, unique_by=lambda error: round(error, 2))
ROWS, TRAIN = 40, 160


def runs(folder: Path, model: str, errors: list[float], splits: int = 0) -> Path:
    """One run for each root mean squared error: as many seeds, or as many splits with a seed each."""
    target = numpy.linspace(-1, 1, ROWS)
    for index, error in enumerate(errors):
        split = {"split": f"split {index}", "seed": 0} if splits else {"seed": index}
        rows = {"train": TRAIN, "val": 10, "test": ROWS}
        name = folder / "e" / f"{model}-{index}"
        record_run(name, target, target + error, task="regression", model=model, rows=rows, **split)
    return folder


folders = count()


def compared(tmp_path: Path, compare_json: Any, mlp: list[float], cnn: list[float], splits: int = 0) -> tuple[Any, Any]:
    """The better and the worse group."""
    folder = tmp_path / str(next(folders))
    runs(folder, "LitMLP", mlp, splits)
    runs(folder, "LitCNN", cnn, splits)
    (block,) = compare_json(folder)["blocks"]
    best, other = block["groups"]
    return best, other


@FEW
@given(mlp=ERRORS, cnn=ERRORS)
def test_over_seeds_they_are_students_and_welchs(
    tmp_path: Path, compare_json: Any, mlp: list[float], cnn: list[float]
) -> None:
    """Student's t for a mean, and Welch's degrees of freedom for a difference of two means."""
    best, other = compared(tmp_path, compare_json, mlp, cnn)
    values = sorted([mlp, cnn], key=numpy.mean)
    for group, errors in zip((best, other), values, strict=True):
        low, high = stats.t.interval(0.95, len(errors) - 1, loc=numpy.mean(errors), scale=stats.sem(errors))
        want = (numpy.mean(errors), max(low, 0), high)  # no error is below 0
        assert (group["mean"], group["low"], group["high"]) == pytest.approx(want, rel=1e-4)
    test = stats.ttest_ind(*values, equal_var=False)
    interval = test.confidence_interval(0.95)
    welch = (interval.high - interval.low) / 2
    assert other["margin"] == pytest.approx(wide(other, welch), rel=1e-3)


def wide(group: Any, margin: float) -> float:
    """A margin that reaches no difference, where permutations of the runs show none."""
    return margin if group["verdict"] == "worse" else max(margin, abs(group["difference"]))


@FEW
@given(groups=st.lists(ERRORS, min_size=3, max_size=5))
def test_an_interval_excludes_no_difference_where_the_verdict_does(
    tmp_path: Path, compare_json: Any, groups: list[list[float]]
) -> None:
    folder = tmp_path / str(next(folders))
    for index, errors in enumerate(groups):
        runs(folder, f"Lit{index}", errors)
    (block,) = compare_json(folder)["blocks"]
    tested = [group for group in block["groups"] if group["verdict"] in ("worse", "no difference shown")]
    assert tested
    for group in tested:
        assert (abs(group["difference"]) > group["margin"] * (1 + 1e-6)) == (group["verdict"] == "worse")
        assert (group["p"] < 0.05) == (group["verdict"] == "worse")


def test_two_runs_have_no_interval(tmp_path: Path, compare_json: Any) -> None:
    best, other = compared(tmp_path, compare_json, [0.1, 0.2], [1.0, 1.1])
    assert best["low"] is best["high"] is other["low"] is other["margin"] is None


@FEW
@given(mlp=ERRORS, drawn=st.data())
def test_over_splits_they_are_nadeau_and_bengios(
    tmp_path: Path, compare_json: Any, mlp: list[float], drawn: Any
) -> None:
    """Variance (1 / J + test rows / train rows) * s**2 for a mean over J splits (Nadeau & Bengio 2003, section 3)."""
    cnn = drawn.draw(st.lists(st.floats(0.1, 2.0), min_size=len(mlp), max_size=len(mlp)))
    best, other = compared(tmp_path, compare_json, mlp, cnn, splits=len(mlp))
    factor = numpy.sqrt(1 / len(mlp) + ROWS / TRAIN) * stats.t.ppf(0.975, len(mlp) - 1)
    by_mean = sorted([mlp, cnn], key=numpy.mean)
    for group, errors in zip((best, other), by_mean, strict=True):
        half = factor * numpy.std(errors, ddof=1)
        middle = numpy.mean(errors)
        assert (group["low"], group["high"]) == pytest.approx(
            (max(middle - half, 0), middle + half), rel=1e-4, abs=1e-6
        )
    differences = numpy.subtract(*by_mean)
    margin = factor * numpy.std(differences, ddof=1)
    assert other["margin"] == pytest.approx(wide(other, margin), rel=1e-3, abs=1e-6)
