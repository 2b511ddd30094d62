"""Is one group better than another, or is it the seeds and the test rows that happened to be drawn?

Two things would come out differently next time: the training seeds and the test rows. Both count, as in the
multi-bootstrap of Sellam et al. (2022); a test of either alone claims too much, and so does asking both in turn. The
difference of two groups' means gets the variance

    rows: of the difference over resamples of the test rows, the same in both groups
    + seeds: the variance of a group's runs over their number, of both groups, less what the rows explain of it

and is told by Student's t with the degrees of freedom of Welch and Satterthwaite, which makes up for few seeds, where
resampling them as well would not. Over several splits of the data the unit is the split: differences within each,
their variance corrected for train rows in common (Nadeau & Bengio 2003). That supposes that they do to a value what
their share is; no estimate from overlapping splits can do without a supposition (Bengio & Grandvalet 2004).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.statistics import student_t

Array = NDArray[numpy.float64]

Sample = Sequence[Array]
"""A group's values: for each split (n, 1 + RESAMPLES), a run a row; first the metric itself, then on resampled rows."""


class Pairs(NamedTuple):
    """Every group against every other, each (G, G); NaN where a group has a single run or an undefined value.

    Args:
        difference: The first's mean less the second's.
        error: The difference's standard error, over seeds and test rows.
        df: Its degrees of freedom.
        p: Two-sided, of no difference between what the two give on average over seeds and rows; not corrected.
    """

    difference: Array
    error: Array
    df: Array
    p: Array


class Estimate(NamedTuple):
    """A group's mean, its runs' standard deviation (n - 1), and the 95 % interval of the mean."""

    mean: float
    sd: float
    low: float
    high: float


def estimate(sample: Sample, test_to_train: float) -> Estimate:
    """Of one group. The interval is about the mean over training seeds on these very test rows.

    By Student's t over the runs of one split; over the means of several, with the variance corrected for train rows in
    common.
    """
    means, runs = numpy.array([split[:, 0].mean() for split in sample]), numpy.concatenate([s[:, 0] for s in sample])
    units, factor = (runs, 1 / len(runs)) if len(sample) == 1 else (means, 1 / len(means) + test_to_train)
    sd = runs.std(ddof=1) if len(runs) > 1 else numpy.nan
    half = numpy.nan
    if len(units) > 1:
        half = student_t.t95(len(units) - 1) * numpy.sqrt(factor) * units.std(ddof=1)
    return Estimate(float(means.mean()), float(sd), float(means.mean() - half), float(means.mean() + half))


def pairwise(samples: Sequence[Sample], rows: int, test_to_train: float) -> Pairs:
    """Compare all groups, each of which has the same splits in the same order.

    Args:
        samples: Of each group.
        rows: How many rows a split tests.
        test_to_train: A split's test rows over its train rows.
    """
    seeds = _seeds if len(samples[0]) == 1 else _splits
    mean = numpy.array([numpy.mean([split.mean(axis=0) for split in sample], axis=0) for sample in samples])
    finite = (rows + 1) / max(rows - 1, 1)  # the Bayesian bootstrap's variance is this much below the unbiased one
    of_rows = finite * _between(_covariance(mean[:, 1:]))
    of_seeds, explained, in_df = seeds(samples, test_to_train)
    variance = of_rows + numpy.maximum(of_seeds - finite * explained, 0)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (in_df + of_rows**2 / min(rows - 1, mean.shape[1] - 2))
        difference = mean[:, None, 0] - mean[None, :, 0]
        t = difference / numpy.sqrt(variance)
    t[(difference == 0) & (variance == 0)] = 0  # the same predictions
    df = numpy.where(variance == 0, 1.0, numpy.maximum(df, 1.0))
    p = numpy.full_like(t, numpy.nan)
    told = ~numpy.isnan(t)
    p[told] = student_t.two_sided(numpy.minimum(numpy.abs(t[told]), 1e6), df[told])
    return Pairs(difference, numpy.sqrt(variance), df, p)


def holm(p: Array) -> Array:
    """Corrected for their number (Holm 1979): (m,) to (m,); NaN is no comparison."""
    corrected = numpy.full(len(p), numpy.nan)
    order = [index for index in p.argsort() if not numpy.isnan(p[index])]
    factors = numpy.arange(len(order), 0, -1)
    corrected[order] = numpy.minimum(numpy.maximum.accumulate(p[order] * factors), 1) if order else []
    return corrected


def _seeds(samples: Sequence[Sample], test_to_train: float) -> tuple[Array, Array, Array]:
    """Variance of the difference over the runs of one split, what rows explain of it, and its part of the df."""
    n = numpy.array([len(sample[0]) for sample in samples])
    lone = numpy.where(n > 1, 1.0, numpy.nan)  # a single run says nothing of its spread
    below = numpy.maximum(n - 1, 1)
    own = numpy.array([sample[0][:, 0].var() for sample in samples]) / below * lone
    deviations = [sample[0][:, 1:] - sample[0][:, 1:].mean(axis=0) for sample in samples]
    explained = numpy.array([one.var(axis=1, ddof=1).sum() for one in deviations]) / below / n
    return _sums(own), _sums(explained), _sums(own**2 / below)


def _splits(samples: Sequence[Sample], test_to_train: float) -> tuple[Array, Array, Array]:
    """The same over the splits' differences."""
    units = numpy.array([[split.mean(axis=0) for split in sample] for sample in samples])  # (G, K, 1 + RESAMPLES)
    count = units.shape[1]
    variance = (1 / count + test_to_train) * _between(_covariance(units[:, :, 0]))
    deviations = units[:, :, 1:] - units[:, :, 1:].mean(axis=1, keepdims=True)
    deviations -= deviations.mean(axis=2, keepdims=True)
    flat = deviations.reshape(len(units), -1)
    explained = _between(flat @ flat.T) / (deviations.shape[2] - 1) / (count - 1) / count
    return variance, explained, variance**2 / (count - 1)


def _covariance(values: Array) -> Array:
    centred = values - values.mean(axis=1, keepdims=True)
    covariance: Array = centred @ centred.T / (values.shape[1] - 1)
    return covariance


def _between(covariance: Array) -> Array:
    """Variances of the differences."""
    own = numpy.diag(covariance)
    return numpy.maximum(_sums(own) - 2 * covariance, 0)


def _sums(values: Array) -> Array:
    sums: Array = values[:, None] + values[None, :]
    return sums
