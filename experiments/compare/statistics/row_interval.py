"""Confidence intervals of a metric over test rows, and over training seeds too where a group has several runs.

The variance is that of the Bayesian bootstrap, with what seeds add to it as in ``pairwise_tests``. Symmetric intervals
are too short near the ends of a bounded metric, and for errors, whose losses have a long tail. A metric with bounds has
Wilson's interval (1927) for as many rows as have its variance (Korn & Graubard 1998). Any other metric has Student's t
corrected for skewness (Hall 1992). By simulation both cover 95 %; ``MIN_ROWS`` are needed for it, and errors with heavy
tails need more.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.statistics import student_t
from lit_models.metrics.task_metrics import Measure

Array = NDArray[numpy.float64]

MIN_ROWS = 100
"""Rows of an interval of a metric without bounds; of 50, the RMSE of normal errors is covered in 92.5 % only."""
MIN_BOUNDED_ROWS = 5
"""Rows of an interval of a metric with bounds."""
ROUNDING = 1e-20
"""Variance of resamples that is no more than rounding."""


class Variance(NamedTuple):
    """Variance of a mean over runs, and its degrees of freedom; ``skewness`` is that of the mean, due to rows."""

    total: float
    df: float
    skewness: float


def row_interval(runs: Array, rows: int, measure: Measure, level: float = 0.05) -> tuple[float, float]:
    """Computes the interval of the mean of a group's runs; NaN for too few rows, or where it is undefined.

    Args:
        runs: Values (n, 1 + RESAMPLES) of each run, first on the test rows, then on each resample of them.
        rows: Number of rows, of which the values are.
        measure: The metric.
        level: Probability that the interval misses.
    """
    value = float(runs[:, 0].mean())
    if rows < (MIN_ROWS if measure.bounds is None else MIN_BOUNDED_ROWS) or numpy.isnan(value):
        return numpy.nan, numpy.nan
    variance = variance_of_mean(runs, rows)
    is_constant = variance.total <= ROUNDING
    if is_constant and not measure.is_fraction:
        return numpy.nan, numpy.nan
    t = _quantile(rows - 1 if is_constant else int(variance.df), level)  # few different ones, each found once
    if measure.bounds is None:
        low, high = numpy.clip(_skewed(value, variance, t), *measure.limits)
        return float(low), float(high)
    least, most = measure.bounds
    fraction, scale = min(max((value - least) / (most - least), 0.0), 1.0), most - least
    is_exact = measure.is_fraction and (len(runs) == 1 or is_constant)  # without the noise of resamples
    effective = rows if is_exact else fraction * (1 - fraction) * scale**2 / variance.total
    low, high = _wilson(fraction, effective, t)
    return least + scale * low, least + scale * high


def difference(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Computes the interval of a difference from two values with their intervals (Zou & Donner 2008).

    Each is of a value, low and high, of other rows.
    """
    gap = first[0] - second[0]
    low = gap - numpy.hypot(first[0] - first[1], second[2] - second[0])
    high = gap + numpy.hypot(first[2] - first[0], second[0] - second[1])
    return float(low), float(high)


@lru_cache
def _quantile(df: int, level: float) -> float:
    return float(student_t.quantile(df, level))


def variance_of_mean(runs: Array, rows: int) -> Variance:
    """Computes the variance over rows, plus that over seeds minus what the rows explain of it.

    Args:
        runs: Values (n, 1 + RESAMPLES), as for ``row_interval``.
        rows: Number of rows, at least 2.
    """
    count, mean = len(runs), runs[:, 1:].mean(axis=0)
    finite = (rows + 1) / (rows - 1)  # the Bayesian bootstrap's variance is biased
    of_rows = finite * float(mean.var(ddof=1))
    of_seeds = in_df = 0.0
    if count > 1:
        own = float(runs[:, 0].var(ddof=1)) / count
        explained = finite * float((runs[:, 1:] - mean).var(axis=1, ddof=1).sum()) / (count - 1) / count
        of_seeds, in_df = max(own - explained, 0.0), own**2 / (count - 1)
    total = of_rows + of_seeds
    if total <= ROUNDING:
        return Variance(0.0, 1.0, 0.0)
    df = total**2 / (in_df + of_rows**2 / min(rows - 1, len(mean) - 1))
    third = float(((mean - mean.mean()) ** 3).mean()) / 2  # exponential weights have twice the skewness of draws
    return Variance(total, max(df, 1.0), third / total**1.5)


def _wilson(fraction: float, rows: float, t: float) -> tuple[float, float]:
    middle = (fraction + t**2 / (2 * rows)) / (1 + t**2 / rows)
    half = t / (1 + t**2 / rows) * (fraction * (1 - fraction) / rows + t**2 / (4 * rows**2)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _skewed(value: float, variance: Variance, t: float) -> tuple[float, float]:
    """Inverts Hall's transformation of Student's t, which removes its skewness."""
    error, skewness = variance.total**0.5, variance.skewness

    def inverse(quantile: float) -> float:
        if abs(skewness) < 1e-6:
            return quantile
        return float(numpy.cbrt(1 + skewness * (quantile - skewness / 6)) - 1) / (skewness / 3)

    return value - error * inverse(t), value - error * inverse(-t)
