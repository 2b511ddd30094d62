"""The area under the ROC curve, weighted."""

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]


def auroc(target: Array, prediction: Array, weights: Array) -> Array:
    """Mean over classes, each against the rest, or over labels; NaN where one has no row, or no row lacks it.

    Args:
        target: (N,) class indices, or (N, labels) of 0 and 1.
        prediction: (N,) of class 1, or (N, classes or labels).
        weights: (B, N) above 0.
    """
    if prediction.ndim == 1:
        return _one(target == 1, prediction, weights)
    positive = target == 1 if target.ndim == 2 else target[:, None] == numpy.arange(prediction.shape[1])
    mean: Array = numpy.mean([_one(*pair, weights) for pair in zip(positive.T, prediction.T, strict=True)], axis=0)
    return mean


def _one(positive: NDArray[numpy.bool_], score: Array, weights: Array) -> Array:
    """The share of pairs of a positive and a negative row in which the positive scores higher, a tie counting half."""
    if positive.all() or not positive.any():
        return numpy.full(len(weights), numpy.nan)
    of_row = weights.T
    ups, downs = (numpy.flatnonzero(part) for part in (positive, ~positive))
    downs = downs[score[downs].argsort()]
    below = numpy.zeros(
        (len(downs) + 1, len(weights))
    )  # the negatives' weights, cumulated in the order of their scores
    numpy.cumsum(of_row[downs], axis=0, out=below[1:])
    lower, not_higher = (below[score[downs].searchsorted(score[ups], side)] for side in ("left", "right"))
    pairs: Array = (of_row[ups] * (lower + not_higher)).sum(axis=0) / (2 * of_row[ups].sum(axis=0) * below[-1])
    return pairs
