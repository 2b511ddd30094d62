"""Metrics of predicted values, for many weightings of the rows at once, in numpy and without torch.

Each is a plain mean over outputs.

Args:
    target: (N, outputs).
    prediction: (N, outputs) in the target's own units.
    weights: Row weights (B, N), or None for weight 1.
"""

import numpy

from lit_models.metrics.row_weights import Array, Weights, undefined, weighted_mean


def rmse(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the root of each output's mean squared error."""
    root: Array = numpy.sqrt(weighted_mean((target - prediction) ** 2, weights)).mean(axis=1)
    return root


def mae(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the mean absolute error."""
    mean: Array = weighted_mean(numpy.abs(target - prediction), weights).mean(axis=1)
    return mean


def median_absolute_error(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes each output's weighted median of absolute errors; between the two middle rows where weights tie."""
    weights = numpy.ones((1, len(target))) if weights is None else weights
    medians = []
    for error in numpy.abs(target - prediction).T:
        order = error.argsort()
        ordered, cumulated = error[order], weights[:, order].cumsum(axis=1)
        half = cumulated[:, -1:] / 2
        low, high = (cumulated < half).sum(axis=1), (cumulated <= half).sum(axis=1)
        medians.append((ordered[low] + ordered[high]) / 2)
    median: Array = numpy.mean(medians, axis=0)
    return median


def r2(target: Array, prediction: Array, weights: Weights = None) -> Array:
    """Computes the explained fraction of the variance; NaN for a constant target or fewer than two rows."""
    if len(target) < 2 or (target == target[:1]).all(axis=0).any():
        return undefined(weights)
    centred = target - target.mean(axis=0)  # before squaring: a large mean would cost digits
    variance = weighted_mean(centred**2, weights) - weighted_mean(centred, weights) ** 2
    explained: Array = (1 - weighted_mean((target - prediction) ** 2, weights) / variance).mean(axis=1)
    return explained
