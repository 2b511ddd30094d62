"""Metrics of predicted classes and labels, for many weightings of the rows at once, in numpy and without torch.

Precision, recall and F1 are 0 for a class that is never predicted or has no row, as in torchmetrics and scikit-learn.
A metric that the rows do not define, such as the AUROC of a class without rows, is NaN.

Args:
    target: (N,) class indices; (N, labels) of 0 and 1 for multilabel.
    prediction: Probabilities: (N,) of class 1 for binary; else (N, classes or labels).
    weights: Row weights (B, N), or None for weight 1.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from lit_models.metrics.row_weights import Array, Weights, grouped_sum, undefined, weighted_mean, weighted_sum

BINS = 15  # bins of the calibration error


class Counts(NamedTuple):
    """Weights of rows for each class or label, each (B, K)."""

    hits: Array  # rows of the class that are predicted as it
    predicted: Array  # rows that are predicted as the class
    true: Array  # rows of the class


Score = Callable[[Counts], Array]


def precision(counts: Counts) -> Array:
    """Computes the precision (B, K) of each class."""
    return _ratio(counts.hits, counts.predicted)


def recall(counts: Counts) -> Array:
    """Computes the recall (B, K) of each class."""
    return _ratio(counts.hits, counts.true)


def f1(counts: Counts) -> Array:
    """Computes the F1 (B, K) of each class."""
    return _ratio(2 * counts.hits, counts.predicted + counts.true)


def of_class_1(score: Score, target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the score of class 1 at a threshold of 0.5."""
    return score(_class_counts(target, prediction, weights))[:, 1]


def macro(score: Score, target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Averages the score over classes with predicted or true rows, as scikit-learn does."""
    counts = _class_counts(target, prediction, weights)
    present = counts.predicted + counts.true > 0
    mean: Array = (score(counts) * present).sum(axis=1) / present.sum(axis=1)
    return mean


def over_labels(score: Score, target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Averages the score over all labels, each at a threshold of 0.5."""
    predicted = (prediction > 0.5).astype(float)
    counts = Counts(*(weighted_sum(rows, weights) for rows in (predicted * target, predicted, target)))
    mean: Array = score(counts).mean(axis=1)
    return mean


def accuracy(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the fraction of rows that are right."""
    return weighted_mean(predicted_class(prediction) == target, weights)


def accuracy_micro(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the fraction of right labels over every label of every row."""
    return weighted_mean(((prediction > 0.5) == target).mean(axis=1), weights)


def balanced_accuracy(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Averages recall over the classes that have rows."""
    counts = _class_counts(target, prediction, weights)
    mean: Array = recall(counts).sum(axis=1) / (counts.true > 0).sum(axis=1)
    return mean


def mcc(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes Matthews' correlation for any number of classes (Gorodkin 2004).

    NaN where all rows have, or are predicted as, a single class; scikit-learn returns 0 there.
    """
    counts = _class_counts(target, prediction, weights)
    total = counts.true.sum(axis=1, keepdims=True)
    hits, predicted, true = (weight / total for weight in counts)
    covariance = hits.sum(axis=1) - (predicted * true).sum(axis=1)
    variances = (1 - (predicted**2).sum(axis=1)) * (1 - (true**2).sum(axis=1))
    several = [(fraction > 0).sum(axis=1) > 1 for fraction in (predicted, true)]
    return numpy.where(several[0] & several[1], covariance / numpy.sqrt(numpy.maximum(variances, 0)), numpy.nan)


def auroc(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Averages the area under the ROC curve over classes, each against the rest, or over labels; exact.

    NaN where a class or label has no row, or every row.
    """
    if prediction.ndim == 1:
        return roc_area(prediction, target == 1, weights)
    columns = target.T == 1 if target.ndim == 2 else (target == label for label in range(prediction.shape[1]))
    mean: Array = numpy.mean([roc_area(*pair, weights) for pair in zip(prediction.T, columns, strict=True)], axis=0)
    return mean


def roc_area(score: Array, positive: NDArray[numpy.bool_], weights: Weights = None) -> Array:
    """Computes the fraction (B,) of pairs in which the positive row has the higher score (N,); ties count half.

    NaN without positive or without negative rows.
    """
    score = numpy.ascontiguousarray(score)
    if not positive.any() or positive.all():
        return undefined(weights)
    if weights is None:
        few, many = sorted((numpy.sort(score[positive]), numpy.sort(score[~positive])), key=len)
        # Both are sorted, so that each search starts in memory near the end of the previous one.
        pairs = int(numpy.searchsorted(many, few).sum()) + int(numpy.searchsorted(many, few, side="right").sum())
        area = pairs / 2 / len(few) / len(many)
        return numpy.array([area if len(few) == positive.sum() else 1 - area])
    row_weights = weights.T
    positives, negatives = numpy.flatnonzero(positive), numpy.flatnonzero(~positive)
    negatives = negatives[score[negatives].argsort()]
    below = numpy.zeros((len(negatives) + 1, len(weights)))  # weight of the negatives with lower scores
    numpy.cumsum(row_weights[negatives], axis=0, out=below[1:])
    lower, not_higher = (below[score[negatives].searchsorted(score[positives], side)] for side in ("left", "right"))
    pairs_won = (row_weights[positives] * (lower + not_higher)).sum(axis=0)
    areas: Array = pairs_won / (2 * row_weights[positives].sum(axis=0) * below[-1])
    return areas


def log_loss(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the negative log-likelihood; probabilities are clipped by float64's epsilon, as scikit-learn does."""
    epsilon = numpy.finfo(numpy.float64).eps
    prediction = numpy.clip(prediction, epsilon, 1 - epsilon)
    if prediction.ndim == 1:
        chosen = numpy.where(target == 1, prediction, 1 - prediction)
    else:
        chosen = numpy.take_along_axis(prediction, target.astype(int)[:, None], axis=1)[:, 0]
    return weighted_mean(-numpy.log(chosen), weights)


def brier(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the squared error of the probabilities: 0 to 1 for binary; summed over classes, 0 to 2, else."""
    if prediction.ndim == 1:
        return weighted_mean((prediction - target) ** 2, weights)
    return weighted_mean(((prediction - numpy.eye(prediction.shape[1])[target.astype(int)]) ** 2).sum(axis=1), weights)


def ece(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the expected calibration error (Guo et al. 2017) of the predicted class; of class 1 for binary.

    It is the mean over rows of abs(accuracy - confidence) of the row's bin.
    """
    confidence, correct = class_confidence(target, prediction)
    gaps = numpy.abs(grouped_sum(calibration_bin(confidence), correct - confidence, BINS, weights)).sum(axis=1)
    error: Array = gaps / (len(target) if weights is None else weights.sum(axis=1))
    return error


def class_confidence(target: Array, prediction: Array) -> tuple[Array, NDArray[numpy.bool_]]:
    """Returns the probability (N,) of the predicted class, or of class 1 for binary, and whether that is right (N,)."""
    if prediction.ndim == 1:
        return prediction, target == 1
    return prediction.max(axis=1), prediction.argmax(axis=1) == target


def calibration_bin(confidence: Array) -> NDArray[numpy.int64]:
    """Returns the index (N,) of each row's bin: index m holds probabilities in (m / BINS, (m + 1) / BINS]."""
    return (numpy.arange(1, BINS) / BINS).searchsorted(confidence)


def confusion_matrix(target: NDArray[numpy.int64], predicted: NDArray[numpy.int64], classes: int) -> Array:
    """Counts rows by true class (down) and predicted class (across): (N,), (N,) -> (K, K)."""
    return grouped_sum(target * classes + predicted, numpy.ones(len(target)), classes**2).reshape(classes, classes)


def predicted_class(prediction: Array, threshold: float = 0.5) -> NDArray[numpy.int64]:
    """Returns the index (N,) of the predicted class: by the threshold for binary, the highest probability else."""
    return (prediction > threshold).astype(int) if prediction.ndim == 1 else prediction.argmax(axis=1)


def one_against_rest(target: Array, prediction: Array, threshold: float = 0.5) -> Iterator[tuple[Array, Array, Array]]:
    """Yields for each class or label its rows (N,), the rows predicted as it (N,), each 0 or 1, and its probability."""
    if target.ndim == 2:
        labels = zip(target.T, (prediction > 0.5).T.astype(float), prediction.T, strict=True)
        yield from labels
        return
    predicted = predicted_class(prediction, threshold)
    probabilities = numpy.stack([1 - prediction, prediction]) if prediction.ndim == 1 else prediction.T
    for index, probability in enumerate(probabilities):
        yield (target == index).astype(float), (predicted == index).astype(float), probability


def _class_counts(target: Array, prediction: Array, weights: Weights) -> Counts:
    classes = 2 if prediction.ndim == 1 else prediction.shape[1]
    true, predicted = target.astype(int), predicted_class(prediction)
    ones = numpy.ones(len(true))
    rows = ((true, predicted == true), (predicted, ones), (true, ones))
    return Counts(*(grouped_sum(group, values, classes, weights) for group, values in rows))


def _ratio(numerator: Array, denominator: Array) -> Array:
    return numpy.divide(numerator, denominator, out=numpy.zeros_like(numerator), where=denominator > 0)
