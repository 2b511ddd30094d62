"""Sums and means over rows, for many weightings of the rows at once, in numpy and without torch."""

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
Values = NDArray[numpy.float64 | numpy.int64 | numpy.bool_]
Weights = Array | None
"""(B, N), above 0: B weightings of N rows. None is a single weighting in which each row has weight 1."""


def undefined(weights: Weights) -> Array:
    """Returns NaN (B,) for each weighting."""
    return numpy.full(1 if weights is None else len(weights), numpy.nan)


def weighted_sum(values: Values, weights: Weights) -> Array:
    """Computes sums over rows: (N, ...) -> (B, ...)."""
    total: Array = values.sum(axis=0)[None] if weights is None else weights @ values
    return total


def weighted_mean(values: Values, weights: Weights) -> Array:
    """Computes means over rows: (N,) or (N, outputs) -> (B,) or (B, outputs)."""
    total = numpy.array([len(values)]) if weights is None else weights.sum(axis=1)
    mean: Array = weighted_sum(values, weights) / (total if values.ndim == 1 else total[:, None])
    return mean


def grouped_sum(group: NDArray[numpy.int64], values: Values, groups: int, weights: Weights = None) -> Array:
    """Computes sums (B, G) over the rows of each of G groups, from each row's group index (N,) and value (N,)."""
    if weights is None:
        return numpy.bincount(group, values, groups).astype(numpy.float64, copy=False)[None]
    of_group = numpy.zeros((len(group), groups))
    of_group[numpy.arange(len(group)), group] = values
    total: Array = weights @ of_group
    return total
