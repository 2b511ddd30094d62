"""Does the order of two groups survive when their runs change places?"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb, prod
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
MOST = 20_000
DRAWN = 10_000


class Permutation(NamedTuple):
    """A test's p value, two-sided, and the smallest that so few runs can give."""

    p: float
    smallest: float


def permutation(first: Sequence[Array], second: Sequence[Array]) -> Permutation:
    """Exchange runs of two groups within each split in all ways, or in 10,000 drawn ones where they are over 20,000.

    With one run of each group a split these are the sign flips of their differences. Runs of one split are not paired
    by their seeds: the same seed gives two architectures nothing in common, and where it does the test is on the safe
    side. Exact whatever the distribution over seeds; it says nothing of test rows.

    Args:
        first: A group's values, (n,) for each split.
        second: The other's, for the same splits.
    """
    ways = prod(comb(len(a) + len(b), len(a)) for a, b in zip(first, second, strict=True))
    balanced = all(len(a) == len(b) for a, b in zip(first, second, strict=True))
    observed = abs(sum(a.mean() - b.mean() for a, b in zip(first, second, strict=True)))
    enough = observed * (1 - 1e-9) - 1e-15
    if ways <= MOST:
        total = numpy.zeros(1)
        for a, b in zip(first, second, strict=True):
            total = (total[:, None] + _all(a, b)[None, :]).ravel()
        return Permutation(float((numpy.abs(total) >= enough).mean()), (2 if balanced else 1) / ways)
    generator = numpy.random.default_rng(0)
    total = numpy.zeros(DRAWN)
    for a, b in zip(first, second, strict=True):
        drawn = generator.permuted(numpy.tile(numpy.concatenate([a, b]), (DRAWN, 1)), axis=1)
        total += drawn[:, : len(a)].mean(axis=1) - drawn[:, len(a) :].mean(axis=1)
    count = int((numpy.abs(total) >= enough).sum())
    return Permutation((1 + count) / (1 + DRAWN), 1 / (1 + DRAWN))  # never 0: Phipson & Smyth 2010


def _all(a: Array, b: Array) -> Array:
    """The difference of means for every choice of the first group's runs."""
    runs = numpy.concatenate([a, b])
    chosen = runs[_choices(len(runs), len(a))].sum(axis=1)
    differences: Array = chosen / len(a) - (runs.sum() - chosen) / len(b)
    return differences


@lru_cache
def _choices(count: int, size: int) -> NDArray[numpy.int64]:
    return numpy.array([*combinations(range(count), size)])
