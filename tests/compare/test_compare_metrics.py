"""Metrics of ``evenhand compare`` against scikit-learn's, from the predictions file."""

import contextlib
import io
import json
import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
from handmade_runs import guesses, record_run
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn
from tiny_data import QUICK

from experiments.__main__ import main
from lit_models.metrics.task_metrics import MEASURES

# Few values, so that scores tie and some lie on the threshold; short, so that classes are missing.
PROBABILITIES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
VALUES = st.integers(-16, 16).map(lambda eighths: eighths / 8)


def matrix(rows: int, columns: int, elements: st.SearchStrategy) -> st.SearchStrategy:
    row = st.lists(elements, min_size=columns, max_size=columns)
    return st.lists(row, min_size=rows, max_size=rows).map(numpy.array)


def classes(rows: int, count: int) -> st.SearchStrategy:
    return st.lists(st.integers(0, count - 1), min_size=rows, max_size=rows).map(numpy.array)


def metrics_of(target: Any, prediction: Any, task: str) -> dict[str, float]:
    """Returns the metrics of a run with these predictions, as the command prints them."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
        path = record_run(Path(folder) / "runs" / "a", target, prediction, task)
        assert main(["compare", str(path), "--format", "json"]) == 0
    (run,) = json.loads(out.getvalue())["blocks"][0]["groups"][0]["runs"]
    return {name: math.nan if value is None else value for name, value in run["metrics"].items()}


def auroc(target: Any, score: Any, weights: Any = None) -> float:
    if len(set(target.tolist())) < 2:
        return math.nan
    return float(sklearn.roc_auc_score(target, score, sample_weight=weights))


def mcc(target: Any, guess: Any, weights: Any = None) -> float:
    if min(len(set(target.tolist())), len(set(guess.tolist()))) < 2:
        return math.nan
    return float(sklearn.matthews_corrcoef(target, guess, sample_weight=weights))


def ece(sure: Any, hit: Any, weights: Any = None) -> float:
    weights = numpy.ones(len(sure)) if weights is None else weights
    gaps = []
    for index in range(15):
        inside = (sure > index / 15) & (sure <= (index + 1) / 15) | ((sure == 0) & (index == 0))
        gaps.append(abs(float((weights * (hit - sure))[inside].sum())))
    return sum(gaps) / weights.sum()


def of_classes(target: Any, probability: Any, weights: Any = None) -> dict[str, float]:
    """Computes scikit-learn's metrics for binary (N,) or multiclass (N, K) probabilities."""
    binary = probability.ndim == 1
    guess = (probability > 0.5).astype(int) if binary else probability.argmax(axis=1)
    average = "binary" if binary else "macro"
    options = {"sample_weight": weights}
    labels = [0, 1] if binary else [*range(probability.shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_class = [
            auroc(target == label, probability if binary else probability[:, label], weights) for label in labels
        ]
        return {
            "accuracy": sklearn.accuracy_score(target, guess, **options),
            f"precision_{average}": sklearn.precision_score(target, guess, average=average, zero_division=0, **options),
            f"recall_{average}": sklearn.recall_score(target, guess, average=average, zero_division=0, **options),
            f"f1_{average}": sklearn.f1_score(target, guess, average=average, zero_division=0, **options),
            "auroc" if binary else "auroc_macro": by_class[1] if binary else float(numpy.mean(by_class)),
            "balanced_accuracy": sklearn.balanced_accuracy_score(target, guess, **options),
            "mcc": mcc(target, guess, weights),
            "log_loss": sklearn.log_loss(target, probability, labels=labels, **options),
            "brier": sklearn.brier_score_loss(target, probability, labels=labels, scale_by_half=binary, **options),
            "ece": ece(probability, target, weights)
            if binary
            else ece(probability.max(axis=1), guess == target, weights),
        }


def of_labels(target: Any, probability: Any) -> dict[str, float]:
    guess = probability > 0.5
    options = {"average": "macro", "zero_division": 0}
    by_label = [auroc(*pair) for pair in zip(target.T, probability.T, strict=True)]
    return {
        "f1_macro": sklearn.f1_score(target, guess, **options),
        "precision_macro": sklearn.precision_score(target, guess, **options),
        "recall_macro": sklearn.recall_score(target, guess, **options),
        "accuracy_micro": float((guess == target).mean()),
        "auroc_macro": float(numpy.mean(by_label)),
    }


def of_values(target: Any, value: Any, weights: Any = None) -> dict[str, float]:
    constant = len(target) < 2 or bool((target == target[:1]).all(axis=0).any())
    options = {"sample_weight": weights}
    return {
        "rmse": sklearn.root_mean_squared_error(target, value, **options),
        "mae": sklearn.mean_absolute_error(target, value, **options),
        "r2": math.nan if constant else sklearn.r2_score(target, value, **options),
        "median_absolute_error": sklearn.median_absolute_error(target, value, **options),
    }


def close(expected: dict[str, float]) -> object:
    return pytest.approx(expected, abs=1e-6, rel=1e-6, nan_ok=True)


SIZES = st.integers(1, 12)


@QUICK
@given(SIZES.flatmap(lambda n: st.tuples(classes(n, 2), matrix(n, 1, PROBABILITIES))))
def test_binary(case: tuple[Any, Any]) -> None:
    target, probability = case[0], case[1][:, 0]
    assert metrics_of(target, probability, "binary") == close(of_classes(target, probability))


@QUICK
@given(st.tuples(SIZES, st.integers(2, 4)).flatmap(lambda s: st.tuples(classes(*s), matrix(*s, PROBABILITIES))))
def test_multiclass(case: tuple[Any, Any]) -> None:
    target, raw = case
    probability = (raw + 0.1) / (raw + 0.1).sum(axis=1, keepdims=True)
    assert metrics_of(target, probability, "multiclass") == close(of_classes(target, probability))


@QUICK
@given(
    st.tuples(SIZES, st.integers(2, 3)).flatmap(
        lambda s: st.tuples(matrix(*s, st.integers(0, 1)), matrix(*s, PROBABILITIES))
    )
)
def test_multilabel(case: tuple[Any, Any]) -> None:
    assert metrics_of(*case, "multilabel") == close(of_labels(*case))


@QUICK
@given(
    st.tuples(SIZES, st.integers(1, 2)).flatmap(lambda s: st.tuples(matrix(*s, VALUES), matrix(*s, VALUES))),
    st.sampled_from([0.0, 1e6]),
)
def test_regression(case: tuple[Any, Any], offset: float) -> None:
    target, value = (values + offset for values in case)
    written = (rows[:, 0] if rows.shape[1] == 1 else rows for rows in (target, value))
    assert metrics_of(*written, "regression") == close(of_values(target, value))


def test_a_run_of_a_single_row_is_shown() -> None:
    assert metrics_of(numpy.array([1]), numpy.array([0.7]), "binary")["accuracy"] == 1


def test_a_prediction_that_is_not_finite_makes_every_metric_undefined() -> None:
    assert all(
        map(math.isnan, metrics_of(numpy.array([0, 1, 1]), numpy.array([0.2, math.nan, 0.9]), "binary").values())
    )


@pytest.mark.parametrize("seed", range(8))
def test_weighted_rows_count_as_with_scikit_learns_sample_weight(seed: int) -> None:
    generator = numpy.random.default_rng(seed)
    weights = generator.exponential(size=(3, 40))
    target = generator.integers(0, 3, 40)
    many = guesses(generator, target, 1.0).round(1)
    many /= many.sum(axis=1, keepdims=True)
    one, values = many[:, 1].round(1), generator.normal(size=(40, 2))
    errors = generator.normal(size=(40, 2)).round(1)
    cases: list[tuple[str, Any, Any, Any]] = [
        ("multiclass", target, many, of_classes),
        ("binary", target == 1, one, of_classes),
        ("regression", values, values + errors, of_values),
    ]
    for task, truth, prediction, reference in cases:
        for index, row in enumerate(weights):
            found = {name: measure(truth, prediction, weights)[index] for name, measure in MEASURES[task].items()}
            assert found == close(reference(truth.astype(float), prediction, row)), task
