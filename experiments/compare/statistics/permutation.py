"""Permutation test of two groups: their runs are exchanged."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb, prod
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
MAX_EXACT = 20_000
"""More permutations are sampled."""
SAMPLED = 10_000


class Permutation(NamedTuple):
    """Two-sided p value, and the smallest p value that the number of runs allows."""

    p: float
    smallest: float


def permutation(first: Sequence[Array], second: Sequence[Array]) -> Permutation:
    """Tests the difference of means over all exchanges of runs within splits; over 10,000 random ones if above 20,000.

    With a single run of each group per split these are sign flips of the differences. Runs are not paired by seed: the
    same seed gives two architectures nothing in common, and where it does the test is conservative. The test is exact
    for any distribution over seeds, and does not account for test rows. A group's values are (n,) for each split.
    """
    sizes = [(len(a), len(b)) for a, b in zip(first, second, strict=True)]
    smallest = smallest_p(sizes)
    observed = abs(sum(a.mean() - b.mean() for a, b in zip(first, second, strict=True)))
    enough = observed * (1 - 1e-9) - 1e-15
    if _count(sizes) <= MAX_EXACT:
        total = numpy.zeros(1)
        for a, b in zip(first, second, strict=True):
            total = (total[:, None] + _all(a, b)[None, :]).ravel()
        return Permutation(float((numpy.abs(total) >= enough).mean()), smallest)
    generator = numpy.random.default_rng(0)
    total = numpy.zeros(SAMPLED)
    for a, b in zip(first, second, strict=True):
        drawn = generator.permuted(numpy.tile(numpy.concatenate([a, b]), (SAMPLED, 1)), axis=1)
        total += drawn[:, : len(a)].mean(axis=1) - drawn[:, len(a) :].mean(axis=1)
    extreme = int((numpy.abs(total) >= enough).sum())
    return Permutation((1 + extreme) / (1 + SAMPLED), smallest)  # never 0: Phipson & Smyth 2010


def smallest_p(sizes: Sequence[tuple[int, int]]) -> float:
    """Returns the smallest p value of two groups with these numbers of runs in each split."""
    if (count := _count(sizes)) > MAX_EXACT:
        return 1 / (1 + SAMPLED)
    return (2 if all(a == b for a, b in sizes) else 1) / count


def _count(sizes: Sequence[tuple[int, int]]) -> int:
    return prod(comb(a + b, a) for a, b in sizes)


def _all(a: Array, b: Array) -> Array:
    """Returns the difference of means for every choice of the first group's runs."""
    runs = numpy.concatenate([a, b])
    chosen = runs[_choices(len(runs), len(a))].sum(axis=1)
    differences: Array = chosen / len(a) - (runs.sum() - chosen) / len(b)
    return differences


@lru_cache
def _choices(count: int, size: int) -> NDArray[numpy.int64]:
    return numpy.array([*combinations(range(count), size)])
