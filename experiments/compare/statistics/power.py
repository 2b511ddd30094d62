"""Power of a comparison of two groups: training seeds and test rows that it takes to show a difference of a size.

The variance of a difference has three parts, which the seeds and rows at hand estimate as ``pairwise_tests`` does. Rows
that are easier for one group than for the other explain ``common``; it falls with the number N of rows alone. What a
row is to a single run explains ``single``, which falls with the number n of seeds times N. The rest of the spread
over ``seeds`` falls with n. For a design (n, N) the difference is taken as normal with the sum of the parts, and the
sampled spread over seeds as chi-squared, over which the power is integrated by quadrature: the test's standard error
and degrees of freedom follow from it, and so does the bound of the permutation test, which has to reject as well. That
one is taken as a t test over the seeds alone, at the level that so many permutations allow.

With the same size of difference in mind, this is planning a sample (Lakens 2022). It is no power of the comparison that
was made, which is a function of its p value and says nothing new (Hoenig & Heisey 2001).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.statistics import student_t
from experiments.compare.statistics.bayesian_bootstrap import RESAMPLES
from experiments.compare.statistics.pairwise_tests import Sample
from experiments.compare.statistics.permutation import smallest_p

Array = NDArray[numpy.float64]

POWER = 0.8
MIN_SEEDS = 5
"""Seeds of a group that are planned: with four, only runs that are all apart pass the permutation test."""
MAX_SEEDS = 1000
MAX_ROWS = 100_000_000
NODES, WEIGHTS = numpy.polynomial.legendre.leggauss(24)
LEVEL = 0.05
"""Of the permutation test, which is not corrected for the number of groups."""


class Parts(NamedTuple):
    """Parts of a difference's variance, for ``n`` seeds of each group (2,) and a number of test rows."""

    common: float
    single: Array  # (2,) of one run of each group
    seeds: Array  # (2,) of one run of each group
    n: Array
    rows: int

    @staticmethod
    def of(first: Sample, second: Sample, rows: int) -> "Parts":
        """Estimates the parts from runs of a single split, two or more of each group."""
        finite = (rows + 1) / max(rows - 1, 1)
        runs = [first[0], second[0]]
        n = numpy.array([len(each) for each in runs], dtype=float)
        deviations = [each[:, 1:] - each[:, 1:].mean(axis=0) for each in runs]
        single = finite * numpy.array([each.var(axis=1, ddof=1).sum() for each in deviations]) / (n - 1)
        of_rows = finite * (runs[0][:, 1:].mean(axis=0) - runs[1][:, 1:].mean(axis=0)).var(ddof=1)
        spread = numpy.array([each[:, 0].var(ddof=1) for each in runs])
        common = max(float(of_rows - (single / n).sum()), 0.0)
        return Parts(common, single, numpy.maximum(spread - single, 0), n, rows)


def power(parts: Parts, size: float, level: float, n: float | None = None, rows: float | None = None) -> float:
    """Returns the probability that both tests find a difference of a size; ``n`` seeds of each group, or as they are.

    Args:
        parts: Parts of the variance.
        size: The difference, positive.
        level: Level of the t test, as corrected for the number of pairs of groups.
        n: Seeds of each group, at least 2.
        rows: Test rows.
    """
    rows = parts.rows if rows is None else rows
    seeds = parts.n if n is None else numpy.full(2, float(n))
    single = parts.single * parts.rows / rows
    own, explained = (single + parts.seeds) / seeds, float((single / seeds).sum())
    of_rows = parts.common * parts.rows / rows + explained
    true = math.sqrt(of_rows + float((parts.seeds / seeds).sum()))
    if true == 0:
        return 1.0
    in_df = float((own**2 / (seeds - 1)).sum())
    squares, weights = _chi_squared(float(own.sum()) ** 2 / in_df) if in_df else (numpy.ones(1), numpy.ones(1))
    estimated = of_rows + numpy.maximum(own.sum() * squares - explained, 0)
    df = estimated**2 / (in_df * squares**2 + of_rows**2 / min(rows - 1, RESAMPLES - 1))
    bound = _quantiles(numpy.maximum(df, 1), level) * numpy.sqrt(estimated)
    smallest = smallest_p([(int(seeds[0]), int(seeds[1]))])
    over_seeds = (math.ceil(LEVEL / smallest) - 1) * smallest  # the largest p value below the level
    if over_seeds <= 0:
        return 0.0
    bound = numpy.maximum(bound, _quantile(seeds.sum() - 2, over_seeds) * numpy.sqrt(own.sum() * squares))
    return float((weights * (_normal((size - bound) / true) + _normal((-size - bound) / true))).sum())


class Requirement(NamedTuple):
    """Seeds and test rows with which a difference of a size is found with the power ``POWER``."""

    size: float
    power: float  # of the runs and rows at hand
    alternatives: list[tuple[int | None, int | None]]  # seeds of each group and test rows, None for those at hand


def requirement(first: Sample, second: Sample, rows: int, size: float, pairs: int) -> Requirement | None:
    """Plans more seeds, or more test rows, or both where neither is enough, for runs of a single split.

    Args:
        first: Runs of a group.
        second: Runs of another group.
        rows: Number of test rows.
        size: The difference, positive.
        pairs: Number of pairs of groups, for which the t test is corrected as Holm's first step does.

    Returns:
        None over several splits, for a single run of a group, or without a finite size above 0.
    """
    if len(first) > 1 or min(len(first[0]), len(second[0])) < 2 or rows < 2 or not 0 < size < math.inf:
        return None
    parts, level = Parts.of(first, second, rows), LEVEL / pairs
    if not math.isfinite(parts.common + float((parts.single + parts.seeds).sum())):
        return None
    alternatives: list[tuple[int | None, int | None]] = []
    if (seeds := _seeds_to_tell(parts, size, level)) is not None:
        alternatives.append((seeds, None))
    few = MIN_SEEDS if parts.n.min() < MIN_SEEDS else None
    if (more := _rows_to_tell(parts, size, level, few)) is not None:
        alternatives.append((few, more))
    n = int(parts.n.max())
    while not alternatives and (n := 2 * n) <= MAX_SEEDS:
        if (more := _rows_to_tell(parts, size, level, n)) is not None:
            alternatives.append((n, more))
    return Requirement(size, power(parts, size, level), alternatives)


def _seeds_to_tell(parts: Parts, size: float, level: float) -> int | None:
    return _smallest(lambda n: power(parts, size, level, n=n), MIN_SEEDS, MAX_SEEDS)


def _rows_to_tell(parts: Parts, size: float, level: float, n: int | None = None) -> int | None:
    """Returns the test rows, of which two digits count, rounded up; ``n`` seeds of each group, or as they are."""
    found = _smallest(lambda rows: power(parts, size, level, n, rows), 10, MAX_ROWS)
    if found is None:
        return None
    unit: int = 10 ** max(len(str(found)) - 2, 0)
    return -(-found // unit) * unit


def _smallest(power_of: Callable[[int], float], low: int, high: int) -> int | None:
    """Returns the smallest number with the power, by bisection of its logarithm, to 1 % of the number."""
    if power_of(high) < POWER:
        return None
    if power_of(low) >= POWER:
        return low
    while high - low > max(1, low // 100):
        middle = min(max(round(math.sqrt(low * high)), low + 1), high - 1)
        low, high = (low, middle) if power_of(middle) >= POWER else (middle, high)
    return high


def _chi_squared(df: float) -> tuple[Array, Array]:
    """Returns nodes and weights of a quadrature over a chi-squared variable divided by its degrees of freedom."""
    sd = 1 / math.sqrt(2 * df)  # of its square root
    low, high = max(0.0, 1 - 7 * sd), 1 + 8 * sd
    root = low + (high - low) * (NODES + 1) / 2
    density = numpy.exp((df - 1) * numpy.log(root) - df * (root**2 - 1) / 2)
    return root**2, WEIGHTS * density / (WEIGHTS * density).sum()


INVERSES = numpy.linspace(0, 1, 161)
"""Inverse degrees of freedom of tabulated quantiles."""


@lru_cache
def _table(level: float) -> Array:
    """Returns the logarithms of the quantiles, which are smooth in the inverse of the degrees of freedom."""
    return numpy.log(student_t.quantile(1 / numpy.maximum(INVERSES, 1e-6), level))


def _quantiles(df: Array, level: float) -> Array:
    """Interpolates ``student_t.quantile`` for many degrees of freedom from 1 on; the error is below 1e-4."""
    return numpy.exp(numpy.interp(1 / df, INVERSES, _table(level)))


@lru_cache
def _quantile(df: float, level: float) -> float:
    return float(student_t.quantile(df, level))


def _normal(value: Array) -> Array:
    """Returns the cumulative standard normal distribution."""
    return numpy.array([math.erfc(-each / math.sqrt(2)) / 2 for each in value])
