"""Average ranks over several comparisons, and the difference that counts (Demšar 2006)."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from experiments.compare.comparison import Standing
from experiments.compare.groups import Block
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]


def average_ranks(values: Array) -> Array:
    """Ranks of groups (units, G) -> (G,), 1 for the highest value of a unit, ties shared, averaged over units."""
    higher = (values[:, None, :] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    ranks: Array = (higher + (equal + 1) / 2).mean(axis=0)
    return ranks


def critical_difference(groups: int, units: int, level: float = 0.05) -> float:
    """Nemenyi's: average ranks further apart than this differ, all pairs of groups taken together."""
    return _range_quantile(groups, level) / math.sqrt(2) * math.sqrt(groups * (groups + 1) / (6 * units))


class Units(NamedTuple):
    """What is ranked: values (units, groups), high is good, the groups' labels, and what a unit is."""

    values: Array
    labels: list[str]
    what: str


def within(block: Block, standings: Sequence[Standing]) -> Units:
    """A unit for each split where there are several; else one for each run of a group, by the order of their seeds."""
    sign = -1 if MEASURES[block.task][block.metric].lower_is_better else 1
    labels = [one.group.label for one in standings]
    columns = []
    if len(block.splits) > 1:
        for one in standings:
            values = [[score.value for score in one.scores if score.run.split == split] for split in block.splits]
            columns.append([sign * fmean(of_split) for of_split in values])
        return Units(numpy.array(columns).T, labels, "splits")
    count = min(len(one.scores) for one in standings)
    for one in standings:
        in_order = sorted(one.scores, key=lambda score: float(score.run.settings.get("seed", 0)))
        columns.append([sign * score.value for score in in_order[:count]])
    return Units(numpy.array(columns).T, labels, "seeds")


def across(compared: Sequence[tuple[Block, list[Standing]]]) -> Units:
    """A unit for each block, for the groups whose labels all blocks have."""
    means = []
    for block, standings in compared:
        sign = -1 if MEASURES[block.task][block.metric].lower_is_better else 1
        means.append({one.group.label: sign * one.estimate.mean for one in standings})
    labels = [label for label in means[0] if all(label in one for one in means)]
    return Units(numpy.array([[one[label] for label in labels] for one in means]), labels, "data sets")


def _range_quantile(groups: int, level: float) -> float:
    """What the range of so many standard normal values exceeds with this probability, by quadrature and bisection."""
    x = numpy.linspace(-8, 8, 1601)
    density = numpy.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = numpy.vectorize(_below)
    low, high = 0.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        within = groups * (density * (below(x + middle) - below(x)) ** (groups - 1)).sum() * (x[1] - x[0])
        low, high = (low, middle) if within > 1 - level else (middle, high)
    return high


def _below(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2
