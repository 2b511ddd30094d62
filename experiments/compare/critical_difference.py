"""Average ranks over several comparisons, and their critical difference (Demšar 2006)."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.comparison import LEVEL, Standing
from experiments.compare.groups import Block

Array = NDArray[numpy.float64]


class Units(NamedTuple):
    """Units over which groups are ranked."""

    values: Array  # (units, groups), high is good
    labels: list[str]
    noun: str  # plural name of a unit


def average_ranks(values: Array) -> Array:
    """Averages the ranks of groups over units: (units, G) -> (G,); rank 1 is the highest value, ties share a rank."""
    higher = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    ranks: Array = (higher + (equal + 1) / 2).mean(axis=0)
    return ranks


def critical_difference(groups: int, units: int) -> float:
    """Returns Nemenyi's critical difference: average ranks further apart differ, over all pairs of groups together.

    The quantile of the range of standard normal values is found by quadrature and bisection: scipy is no dependency.
    """
    x = numpy.linspace(-8, 8, 1601)
    density = numpy.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    cumulative = numpy.vectorize(lambda value: (1 + math.erf(value / math.sqrt(2))) / 2)
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        covered = groups * (density * (cumulative(x + middle) - cumulative(x)) ** (groups - 1)).sum() * (x[1] - x[0])
        low, high = (low, middle) if covered > 1 - LEVEL else (middle, high)
    return high / math.sqrt(2) * math.sqrt(groups * (groups + 1) / (6 * units))


def within(block: Block, standings: Sequence[Standing]) -> Units:
    """Returns a unit for each split of a block, or for a single split one for each run, in the order of the seeds."""
    labels = [standing.group.label for standing in standings]
    several = len(block.splits) > 1
    count = min(len(standing.scores) for standing in standings)
    columns = []
    for scores in (standing.scores for standing in standings):
        if several:
            columns.append([fmean(s.value for s in scores if s.run.split == split) for split in block.splits])
        else:
            by_seed = sorted(scores, key=lambda score: float(score.run.settings.get("seed", 0)))
            columns.append([score.value for score in by_seed[:count]])
    return Units(block.sign * numpy.array(columns).T, labels, "splits" if several else "seeds")
