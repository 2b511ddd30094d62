"""Pairwise tests of groups over training seeds and test rows.

A repetition would have other training seeds and other test rows. Both count, as in the multi-bootstrap of Sellam et al.
(2022); a test of either alone claims too much, and so do two separate tests. The difference of two groups' means has
the variance

    rows: of the difference over resamples of the test rows, the same in both groups
    + seeds: the variance of a group's runs over their number, of both groups, minus the variance explained by rows

The test is Student's t with the degrees of freedom of Welch and Satterthwaite, which account for few seeds; resampling
the seeds would not. Over several splits of the data the unit is the split: differences within each split, their
variance corrected for shared train rows (Nadeau & Bengio 2003). The correction assumes that the values of
two splits correlate by the fraction of test rows; no estimate from overlapping splits is free of assumptions (Bengio &
Grandvalet 2004).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.statistics import student_t

Array = NDArray[numpy.float64]

MIN_UNITS = 3
"""Runs, or splits, of an interval: of two, Student's t with one degree of freedom reaches 13 standard errors far."""

Sample = Sequence[Array]
"""Values of a group: for each split (n runs, 1 + RESAMPLES), first the metric itself, then on resampled rows."""


class Pairs(NamedTuple):
    """Tests of every pair of groups, each (G, G); NaN where a group has a single run or an undefined value."""

    difference: Array  # mean of the row's group minus mean of the column's group
    error: Array  # standard error of the difference, over seeds and test rows
    df: Array
    p: Array  # two-sided, of equal means over seeds and rows; not corrected


class Estimate(NamedTuple):
    """Mean of a group, standard deviation of its runs (n - 1), and 95 % interval of the mean."""

    mean: float
    sd: float
    low: float
    high: float


def estimate(sample: Sample, test_to_train: float, limits: tuple[float, float]) -> Estimate:
    """Estimates the mean of a group over training seeds, on these test rows.

    The interval is Student's t over the runs of a single split, or over the means of several splits, with the variance
    corrected for shared train rows, as far as it is within the ``limits`` of the metric, so that it covers as much; NaN
    for fewer than ``MIN_UNITS`` of them.
    """
    means, runs = numpy.array([split[:, 0].mean() for split in sample]), numpy.concatenate([s[:, 0] for s in sample])
    units, factor = (runs, 1 / len(runs)) if len(sample) == 1 else (means, 1 / len(means) + test_to_train)
    sd = runs.std(ddof=1) if len(runs) > 1 else numpy.nan
    half = numpy.nan
    if len(units) >= MIN_UNITS:
        half = student_t.t95(len(units) - 1) * numpy.sqrt(factor) * units.std(ddof=1)
    low, high = numpy.clip([means.mean() - half, means.mean() + half], *limits)
    return Estimate(float(means.mean()), float(sd), float(low), float(high))


def pairwise(samples: Sequence[Sample], rows: int, test_to_train: float) -> Pairs:
    """Compares all pairs of groups, which have the same splits, of so many test rows, in the same order."""
    seeds = _seeds if len(samples[0]) == 1 else _splits
    mean = numpy.array([numpy.mean([split.mean(axis=0) for split in sample], axis=0) for sample in samples])
    finite = (rows + 1) / max(rows - 1, 1)  # the Bayesian bootstrap's variance is biased
    of_rows = finite * _between(numpy.atleast_2d(numpy.cov(mean[:, 1:])))
    of_seeds, explained, in_df = seeds(samples, test_to_train)
    variance = of_rows + numpy.maximum(of_seeds - finite * explained, 0)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (in_df + of_rows**2 / min(rows - 1, mean.shape[1] - 2))
        difference = mean[:, None, 0] - mean[None, :, 0]
        t = difference / numpy.sqrt(variance)
    t[(difference == 0) & (variance == 0)] = 0  # identical predictions
    df = numpy.where(variance == 0, 1.0, numpy.maximum(df, 1.0))
    p = numpy.full_like(t, numpy.nan)
    defined = ~numpy.isnan(t)
    p[defined] = student_t.two_sided(numpy.minimum(numpy.abs(t[defined]), 1e6), df[defined])
    return Pairs(difference, numpy.sqrt(variance), df, p)


def holm(p: Array) -> Array:
    """Corrects p values for their number (Holm 1979): (m,) -> (m,); NaN does not count."""
    corrected = numpy.full(len(p), numpy.nan)
    order = [index for index in p.argsort() if not numpy.isnan(p[index])]
    factors = numpy.arange(len(order), 0, -1)
    corrected[order] = numpy.minimum(numpy.maximum.accumulate(p[order] * factors), 1) if order else []
    return corrected


def _seeds(samples: Sequence[Sample], test_to_train: float) -> tuple[Array, Array, Array]:
    """Computes, over the runs of a single split: variance of the difference, variance explained by rows, df term."""
    n = numpy.array([len(sample[0]) for sample in samples])
    below = numpy.where(n == 1, numpy.nan, n - 1)  # a single run has no variance
    own = numpy.array([sample[0][:, 0].var() for sample in samples]) / below
    deviations = [sample[0][:, 1:] - sample[0][:, 1:].mean(axis=0) for sample in samples]
    explained = numpy.array([deviation.var(axis=1, ddof=1).sum() for deviation in deviations]) / below / n
    variance, explained, in_df = (numpy.add.outer(term, term) for term in (own, explained, own**2 / below))
    return variance, explained, in_df


def _splits(samples: Sequence[Sample], test_to_train: float) -> tuple[Array, Array, Array]:
    """Computes, over the differences within splits: variance, variance explained by rows, df term."""
    units = numpy.array([[split.mean(axis=0) for split in sample] for sample in samples])  # (G, K, 1 + RESAMPLES)
    count = units.shape[1]
    variance = (1 / count + test_to_train) * _between(numpy.atleast_2d(numpy.cov(units[:, :, 0])))
    deviations = units[:, :, 1:] - units[:, :, 1:].mean(axis=1, keepdims=True)
    deviations -= deviations.mean(axis=2, keepdims=True)
    flat = deviations.reshape(len(units), -1)
    explained = _between(flat @ flat.T) / (deviations.shape[2] - 1) / (count - 1) / count
    return variance, explained, variance**2 / (count - 1)


def _between(covariance: Array) -> Array:
    """Returns the variances of the differences."""
    own = numpy.diag(covariance)
    return numpy.maximum(numpy.add.outer(own, own) - 2 * covariance, 0)
