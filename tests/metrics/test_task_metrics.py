"""Metrics of few rows, without weights and with them, against scikit-learn's."""

import math
from typing import Any

import numpy
import pytest
import torch
from sklearn import metrics as sklearn

from lit_models.metrics import classification_metrics as classes
from lit_models.metrics.exact import ExactMetric
from lit_models.metrics.task_metrics import MEASURES, Measure

LOWER_IS_BETTER = {"log_loss", "brier", "ece", "rmse", "mae", "median_absolute_error"}

# Classes 0, 1 and 2 are predicted for 1, 2 and 3 rows; class 2 has one row.
TARGET = numpy.array([0, 1, 0, 2, 1, 0])
PREDICTION = numpy.array([[7, 2, 1], [2, 5, 3], [1, 4, 5], [1, 3, 6], [3, 4, 3], [2, 2, 6]]) / 10
GUESS = PREDICTION.argmax(axis=1)
WEIGHTS = numpy.array([[1.0] * 6, [0.1, 0.4, 0.2, 0.3, 0.2, 0.1]])
"""The second row sums up to less than 1 for each class."""


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, measures in MEASURES.items() for name in measures])
def test_errors_are_better_when_lower(task: str, name: str) -> None:
    assert MEASURES[task][name].lower_is_better == (name in LOWER_IS_BETTER)


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, measures in MEASURES.items() for name in measures])
def test_a_threshold_changes_metrics_of_classes_alone(task: str, name: str) -> None:
    of_probabilities = {"auroc", "auroc_macro", "log_loss", "brier", "ece"}
    assert MEASURES[task][name].of_classes == (task != "regression" and name not in of_probabilities)


def check(task: str, target: Any, prediction: Any, name: str, expected: Any) -> None:
    """Compares a metric with a function of the weights, for no weights, weights of 1, and weights below 1."""
    measure = MEASURES[task][name]
    assert measure(target, prediction) == pytest.approx([expected(None)], nan_ok=True)
    reference = [expected(row) for row in WEIGHTS]
    assert measure(target, prediction, WEIGHTS) == pytest.approx(reference, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("precision", sklearn.precision_score),
        ("recall", sklearn.recall_score),
        ("f1", sklearn.f1_score),
    ],
)
def test_classes_of_few_rows_are_scikit_learns(name: str, reference: Any) -> None:
    check(
        *("multiclass", TARGET, PREDICTION, f"{name}_macro"),
        lambda row: reference(TARGET, GUESS, average="macro", sample_weight=row),
    )
    check(  # a class without true or predicted rows does not count
        *("multiclass", TARGET, numpy.column_stack([PREDICTION, numpy.zeros(6)]), f"{name}_macro"),
        lambda row: reference(TARGET, GUESS, average="macro", sample_weight=row),
    )
    for label in range(3):
        truth, score = (label == TARGET).astype(int), PREDICTION[:, label]
        check(
            *("binary", truth, score, f"{name}_binary"),
            lambda row, truth=truth, score=score: reference(truth, score > 0.5, zero_division=0, sample_weight=row),
        )
    truth = numpy.eye(3)[TARGET]
    check(
        *("multilabel", truth, PREDICTION, f"{name}_macro"),
        lambda row: reference(truth, PREDICTION > 0.5, average="macro", zero_division=0, sample_weight=row),
    )


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("accuracy", sklearn.accuracy_score),
        ("balanced_accuracy", sklearn.balanced_accuracy_score),
        ("mcc", sklearn.matthews_corrcoef),
    ],
)
def test_all_classes_together_are_scikit_learns(name: str, reference: Any) -> None:
    padded = numpy.column_stack([PREDICTION, numpy.zeros(6)])
    check("multiclass", TARGET, padded, name, lambda row: float(reference(TARGET, GUESS, sample_weight=row)))
    truth, score = (TARGET == 0).astype(int), PREDICTION[:, 0]
    check(
        *("binary", truth, score, name),
        lambda row: float(reference(truth, (score > 0.5).astype(int), sample_weight=row)),
    )


def test_probabilities_are_scored_as_by_scikit_learn() -> None:
    truth, score = (TARGET == 2).astype(int), PREDICTION[:, 2]
    check(
        "multiclass",
        TARGET,
        PREDICTION,
        "log_loss",
        lambda row: sklearn.log_loss(TARGET, PREDICTION, sample_weight=row),
    )
    check("binary", truth, score, "log_loss", lambda row: sklearn.log_loss(truth, score, sample_weight=row))
    check("binary", truth, score, "brier", lambda row: sklearn.brier_score_loss(truth, score, sample_weight=row))
    squares = ((PREDICTION - numpy.eye(3)[TARGET]) ** 2).sum(axis=1)
    check("multiclass", TARGET, PREDICTION, "brier", lambda row: numpy.average(squares, weights=row))


def test_a_certain_mistake_is_clipped_as_by_scikit_learn() -> None:
    target, certain = numpy.array([0, 1]), numpy.array([1.0, 0.0])
    for task, prediction in (("binary", certain), ("multiclass", numpy.stack([1 - certain, certain], axis=1))):
        (found,) = MEASURES[task]["log_loss"](target, prediction)
        assert found == pytest.approx(-math.log(2.0**-52), rel=1e-12)


def test_the_area_is_scikit_learns() -> None:
    truth = (TARGET == 0).astype(int)
    for score in PREDICTION.T:
        check("binary", truth, score, "auroc", lambda row, s=score: sklearn.roc_auc_score(truth, s, sample_weight=row))
    areas = [(label == TARGET, PREDICTION[:, label]) for label in range(3)]
    check(
        *("multiclass", TARGET, PREDICTION, "auroc_macro"),
        lambda row: numpy.mean([sklearn.roc_auc_score(*pair, sample_weight=row) for pair in areas]),
    )
    labels = numpy.eye(3)[TARGET]
    check(
        *("multilabel", labels, PREDICTION, "auroc_macro"),
        lambda row: sklearn.roc_auc_score(labels, PREDICTION, average="macro", sample_weight=row),
    )


def test_labels_are_right_one_by_one() -> None:
    labels = numpy.eye(3)[TARGET]
    right = ((PREDICTION > 0.5) == labels).mean(axis=1)
    check("multilabel", labels, PREDICTION, "accuracy_micro", lambda row: numpy.average(right, weights=row))


def test_a_half_is_class_0() -> None:
    target, half = numpy.array([0, 1]), numpy.array([0.5, 0.5])
    assert MEASURES["binary"]["accuracy"](target, half) == 0.5
    assert MEASURES["binary"]["recall_binary"](target, half) == 0
    assert MEASURES["multilabel"]["accuracy_micro"](target[:, None], half[:, None]) == 0.5
    assert MEASURES["multilabel"]["recall_macro"](target[:, None], half[:, None]) == 0


@pytest.mark.parametrize("weights", [None, numpy.ones((2, 3))])
def test_a_correlation_needs_two_classes_on_both_sides(weights: Any) -> None:
    for target, prediction in (([0, 1, 0], [0.1, 0.2, 0.3]), ([1, 1, 1], [0.9, 0.2, 0.3]), ([0, 0, 0], [0.1] * 3)):
        assert numpy.isnan(MEASURES["binary"]["mcc"](numpy.array(target), numpy.array(prediction), weights)).all()


def test_the_calibration_error_is_that_of_15_bins() -> None:
    """Gaps of bins (m / 15, (m + 1) / 15]; 1/15 is in the first bin, 0.07 in the second, and 0 and 1 at the ends."""
    probability = numpy.array([0.0, 1 / 15, 0.07, 0.95, 1.0, 0.5])
    target = numpy.array([0, 1, 0, 1, 1, 0])
    gaps = [abs(1 - 1 / 15), 0.07, 0.05, 0.5]  # the fourth bin that has rows is the seventh's half
    assert classes.calibration_bin(probability).tolist() == [0, 0, 1, 14, 14, 7]
    assert MEASURES["binary"]["ece"](target, probability) == pytest.approx([sum(gaps) / 6])
    weights = numpy.array([[2.0, 1, 1, 1, 3, 2]])
    gaps = [1 - 1 / 15, 0.07, 0.05, 2 * 0.5]
    assert MEASURES["binary"]["ece"](target, probability, weights) == pytest.approx([sum(gaps) / 10])
    # The predicted classes' probabilities, each in a bin of its own but for both of 0.6 and both of 0.5.
    sure, right = PREDICTION.max(axis=1), (GUESS == TARGET).astype(float)
    gaps = [abs((right - sure)[sure == value].sum()) for value in (0.7, 0.6, 0.5, 0.4)]
    assert MEASURES["multiclass"]["ece"](TARGET, PREDICTION) == pytest.approx([sum(gaps) / 6])


def test_the_confusion_matrix_is_scikit_learns() -> None:
    found = classes.confusion_matrix(TARGET, GUESS, 4)
    assert found.tolist() == sklearn.confusion_matrix(TARGET, GUESS, labels=range(4)).tolist()


VALUES = numpy.array([[1.0, 10], [2, 20], [4, 0], [8, 5], [3, 50], [7, 30]])
ERRORS = numpy.array([[1.0, 0.5], [-2, 1], [0.5, -3], [3, 4], [-4, 2], [0.25, -6]])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("rmse", sklearn.root_mean_squared_error),
        ("mae", sklearn.mean_absolute_error),
        ("r2", sklearn.r2_score),
        ("median_absolute_error", sklearn.median_absolute_error),
    ],
)
def test_values_are_scikit_learns(name: str, reference: Any) -> None:
    prediction = VALUES + ERRORS
    check("regression", VALUES, prediction, name, lambda row: reference(VALUES, prediction, sample_weight=row))
    assert MEASURES["regression"][name](VALUES[:5], prediction[:5]) == reference(VALUES[:5], prediction[:5])


def test_the_explained_variance_needs_two_values_that_differ() -> None:
    r2 = MEASURES["regression"]["r2"]
    assert r2(VALUES[:2], VALUES[:2] + 1) == pytest.approx([sklearn.r2_score(VALUES[:2], VALUES[:2] + 1)])
    constant = numpy.column_stack([VALUES[:, 0], numpy.ones(6)])
    for target in (VALUES[:1], constant):
        assert numpy.isnan(r2(target, target + 1)).tolist() == [True]
        assert numpy.isnan(r2(target, target + 1, numpy.ones((3, len(target))))).tolist() == [True] * 3


def test_a_prediction_that_is_not_finite_is_nan_in_every_weighting() -> None:
    measure = Measure(classes.accuracy)
    assert (
        numpy.isnan(measure(numpy.array([1, 0]), numpy.array([1.0, math.inf]), numpy.ones((3, 2)))).tolist()
        == [True] * 3
    )


def test_an_exact_metric_is_of_all_batches_and_of_merged_ones() -> None:
    """torchmetrics merges the states of two metrics that do not need all of a state for one batch."""
    target, prediction = torch.from_numpy(TARGET), torch.from_numpy(PREDICTION)
    first, second = (ExactMetric(MEASURES["multiclass"]["accuracy"]) for _ in range(2))
    assert float(first(prediction[:2], target[:2])) == 1  # of the batch
    assert float(first(prediction[2:3], target[2:3])) == 0
    second.update(prediction[3:], target[3:])
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(sklearn.accuracy_score(TARGET, GUESS))
    assert first.higher_is_better
    assert not ExactMetric(MEASURES["multiclass"]["brier"]).higher_is_better
