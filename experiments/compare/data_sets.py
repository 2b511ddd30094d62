"""Table of groups over several data sets, with their average ranks and critical difference (Demšar 2006)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from experiments.compare.comparison import LEVEL
from experiments.compare.comparison_report import Compared
from experiments.compare.critical_difference import Units, average_ranks, critical_difference
from experiments.compare.groups import grouped
from experiments.compare.table_formats import Sheet, listed, number, without_zero

Array = NDArray[numpy.float64]

ENOUGH = 6
"""Data sets with which a sign test of two groups can reach p < 0.05: 2 · 2⁻⁶ = .031, and 2 · 2⁻⁵ = .0625."""


@dataclass(frozen=True)
class DataSets:
    """Groups by their labels over several data sets: those with a mean on each of them are ranked.

    The ranked ones come first, the best average rank first.
    """

    names: list[str]  # of the data sets, with the metric of each
    labels: list[str]  # of all groups
    means: Array  # (data sets, groups), NaN where a group is not on a data set
    units: Units  # of the ranked groups
    ranks: Array  # average ranks (ranked groups,)
    has_others: bool = False  # True if a data set has several tables, of which the one with the most groups counts

    @property
    def critical_difference(self) -> float | None:
        """Nemenyi's critical difference of average ranks at p < 0.05; None with too few data sets or groups."""
        is_enough = len(self.names) >= ENOUGH and len(self.ranks) > 1
        return critical_difference(len(self.ranks), len(self.names)) if is_enough else None

    def sheet(self) -> Sheet:
        """Returns a table with a row for each group and a column for each data set."""
        ranks = [f"{rank:.2f}" for rank in self.ranks] + ["–"] * (len(self.labels) - len(self.ranks))
        rows = [
            [label, *map(number, means), rank]
            for label, means, rank in zip(self.labels, self.means.T.tolist(), ranks, strict=True)
        ]
        title = f"{len(self.names)} data sets: mean of each group, and its average rank"
        return Sheet(title, ["group", *self.names, "average rank"], rows, self._notes(), is_divisible=True)

    def _notes(self) -> list[str]:
        count, apart = len(self.names), self.critical_difference
        sentences = ["Average rank: 1 is the best mean of a data set, and equal means share their ranks."]
        if apart is not None:
            sentences.append(
                f"Average ranks that are {apart:.2f} or more apart differ at p < {without_zero(LEVEL)} over new data "
                "sets, for all pairs of groups together (Nemenyi's test; Demšar 2006)."
            )
        elif len(self.ranks) > 1:
            sentences.append(
                f"No critical difference: {ENOUGH} data sets are enough for one. With {count}, a group that is better "
                f"than another on all of them has p = {without_zero(f'{2 * 0.5**count:.3f}')} by a sign test."
            )
        unranked = self.labels[len(self.ranks) :]
        if len(self.ranks) < 2:
            sentences = ["No average ranks: fewer than two groups have the same name, and a mean, on every data set."]
        elif unranked:
            sentences.append(f"Not on every data set, or undefined: {listed(unranked)}.")
        if self.has_others:
            sentences.append("Of a data set with several tables, the one with the most groups is here.")
        return sentences


def data_sets(compared: Sequence[Compared]) -> DataSets | None:
    """Returns the groups over several data sets; None where there is one data set."""
    of_each = grouped(compared, lambda each: each[0].groups[0].runs[0].rows_fingerprint)
    largest = [blocks[0] for blocks in of_each]  # blocks come with the largest first
    if len(largest) < 2:
        return None
    labels = [*dict.fromkeys(standing.group.label for _, standings in largest for standing in standings)]
    of_labels = [{each.group.label: each.estimate.mean for each in standings} for _, standings in largest]
    means = numpy.array([[mean_of.get(label, numpy.nan) for label in labels] for mean_of in of_labels])
    ranked = numpy.flatnonzero(~numpy.isnan(means).any(axis=0))
    ranked = ranked if len(ranked) > 1 else ranked[:0]
    values = numpy.array([block.sign for block, _ in largest])[:, None] * means[:, ranked]
    ranks = average_ranks(values)
    order = ranks.argsort(kind="stable")
    others = [index for index in range(len(labels)) if index not in ranked]
    every = [*ranked[order], *others]
    units = Units(values[:, order], [labels[index] for index in ranked[order]], "data sets")
    names, has_others = names_of(largest), len(compared) > len(largest)
    return DataSets(names, [labels[index] for index in every], means[:, every], units, ranks[order], has_others)


def names_of(compared: Sequence[Compared]) -> list[str]:
    """Returns the data set and metric of each block, with the experiment where data sets share a name."""
    names = [block.data for block, _ in compared]
    if len({*names}) < len(names):
        names = [f"{block.data} ({block.groups[0].runs[0].path.parent.name})" for block, _ in compared]
    counts, seen, labels = Counter(names), Counter[str](), []
    for name, (block, _) in zip(names, compared, strict=True):
        seen[name] += 1
        labels.append(f"{name}{f' {seen[name]}' if counts[name] > 1 else ''}: {block.metric}")
    return labels
