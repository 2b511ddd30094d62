"""Decision threshold of a binary task: the probability above which a row is of class 1, by the best value of a metric.

Lipton, Elkan & Narayanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure".
"""

from collections.abc import Callable

import numpy

from lit_models.metrics.row_weights import Array

MIN_ROWS, MIN_OF_CLASS = 100, 20
"""Validation rows, and rows of each class, below which the threshold stays at 0.5."""

_Score = Callable[[Array, Array, float, float], Array]
"""Function from right and wrong rows of the predicted class 1, and the number of rows of class 1 and 0."""


def _f1(hits: Array, false: Array, positive: float, negative: float) -> Array:
    score: Array = 2 * hits / (hits + false + positive)
    return score


def _accuracy(hits: Array, false: Array, positive: float, negative: float) -> Array:
    score: Array = (hits + negative - false) / (positive + negative)
    return score


def _balanced_accuracy(hits: Array, false: Array, positive: float, negative: float) -> Array:
    score: Array = (hits / positive + 1 - false / negative) / 2
    return score


def _mcc(hits: Array, false: Array, positive: float, negative: float) -> Array:
    predicted = hits + false
    spread = numpy.sqrt(predicted * (positive + negative - predicted) * positive * negative)
    covariance = hits * (positive + negative) - predicted * positive
    return numpy.divide(covariance, spread, out=numpy.full_like(spread, -1), where=spread > 0)


SCORES: dict[str, _Score] = {
    "f1_binary": _f1,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
}
"""Metrics that a threshold can be chosen by; precision and recall alone are best where one class is never predicted."""


def fit_threshold(metric: str, target: Array, probability: Array) -> float:
    """Returns the threshold with the best value of a metric among all that divide the rows differently.

    It lies in the middle between two probabilities. Of several equally good ones it is the nearest to 0.5.

    Args:
        metric: Name in ``SCORES``.
        target: (N,) of 0 and 1, with rows of both.
        probability: (N,) of class 1.
    """
    order = numpy.argsort(-probability, kind="stable")
    ordered, is_positive = probability[order], target[order] == 1
    # Entry k: the first k rows are predicted as class 1; between equal probabilities no threshold is.
    hits, false = (numpy.concatenate([[0.0], numpy.cumsum(rows)]) for rows in (is_positive, ~is_positive))
    values = SCORES[metric](hits, false, float(hits[-1]), float(false[-1]))
    above, below = numpy.concatenate([[1.0], ordered]), numpy.concatenate([ordered, [0.0]])
    middle = below + (above - below) / 2
    thresholds = numpy.where(middle < above, middle, below)  # neighbouring floats have no middle
    values = numpy.where(above > below, values, -numpy.inf)
    best = numpy.flatnonzero(values >= values.max() - 1e-12)
    return float(thresholds[best[numpy.abs(thresholds[best] - 0.5).argmin()]])
