"""Metrics of what was predicted against what was true, as ``metrics`` takes them.

All need three weighted counts only: rows of a class that were told as such, rows told as it, and rows of it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]


class Counts(NamedTuple):
    """Weights of rows (B, classes or labels)."""

    hits: Array
    predicted: Array
    true: Array


Score = Callable[[Counts], Array]


def precision(counts: Counts) -> Array:
    """Of each class; 0 where nothing is predicted as it."""
    return _ratio(counts.hits, counts.predicted)


def recall(counts: Counts) -> Array:
    """Of each class; 0 where no row is of it."""
    return _ratio(counts.hits, counts.true)


def f1(counts: Counts) -> Array:
    """Of each class; 0 where it is neither predicted nor there."""
    return _ratio(2 * counts.hits, counts.predicted + counts.true)


def of_class_1(score: Score, target: Array, prediction: Array, weights: Array) -> Array:
    """The score of class 1, where its probability is above one half."""
    return score(_counts(target, prediction, weights))[:, 1]


def macro(score: Score, target: Array, prediction: Array, weights: Array) -> Array:
    """The mean over the classes that are predicted or there, as scikit-learn's."""
    counts = _counts(target, prediction, weights)
    concerned = counts.predicted + counts.true > 0
    mean: Array = (score(counts) * concerned).sum(axis=1) / concerned.sum(axis=1)
    return mean


def over_labels(score: Score, target: Array, prediction: Array, weights: Array) -> Array:
    """The mean over all labels."""
    told = (prediction > 0.5).astype(float)
    mean: Array = score(Counts(weights @ (told * target), weights @ told, weights @ target)).mean(axis=1)
    return mean


def accuracy(target: Array, prediction: Array, weights: Array) -> Array:
    """Over rows."""
    right: Array = weights @ (_told(prediction) == target) / weights.sum(axis=1)
    return right


def accuracy_micro(target: Array, prediction: Array, weights: Array) -> Array:
    """Over every label of every row."""
    right: Array = weights @ ((prediction > 0.5) == target).mean(axis=1) / weights.sum(axis=1)
    return right


def balanced_accuracy(target: Array, prediction: Array, weights: Array) -> Array:
    """The mean recall over the classes that are there."""
    counts = _counts(target, prediction, weights)
    mean: Array = recall(counts).sum(axis=1) / (counts.true > 0).sum(axis=1)
    return mean


def mcc(target: Array, prediction: Array, weights: Array) -> Array:
    """Matthews' correlation for any number of classes (Gorodkin 2004); NaN where all rows are, or are told, one class.

    scikit-learn says 0 there.
    """
    counts = _counts(target, prediction, weights / weights.sum(axis=1, keepdims=True))
    covariance = counts.hits.sum(axis=1) - (counts.predicted * counts.true).sum(axis=1)
    spreads = [1 - (share**2).sum(axis=1) for share in (counts.predicted, counts.true)]
    several = [(share > 0).sum(axis=1) > 1 for share in (counts.predicted, counts.true)]
    value: Array = covariance / numpy.sqrt(numpy.maximum(spreads[0] * spreads[1], 0))
    return numpy.where(several[0] & several[1], value, numpy.nan)


def _told(prediction: Array) -> NDArray[numpy.int64]:
    return (prediction > 0.5).astype(int) if prediction.ndim == 1 else prediction.argmax(axis=1)


def _counts(target: Array, prediction: Array, weights: Array) -> Counts:
    each = numpy.eye(2 if prediction.ndim == 1 else prediction.shape[1])
    told, true = each[_told(prediction)], each[target.astype(int)]
    return Counts(weights @ (told * true), weights @ told, weights @ true)


def _ratio(part: Array, whole: Array) -> Array:
    return numpy.divide(part, whole, out=numpy.zeros_like(part), where=whole > 0)
