"""A smaller train split, for learning curves over the number of rows: ``--data.train_fraction``.

Validation and test rows stay. The rows of a fraction are among those of a larger one, so that two points of a learning
curve differ by the rows that were added, and not by another draw.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.splitting.split_options import SplitSettings, Splittable
from datamodules.splitting.splits import Split
from datamodules.tables.casting import encode
from datamodules.tables.targets import check_train_counts
from datamodules.types import TaskName

BINS = 10
"""Quantile bins of a regression target, each of which gives its fraction of rows."""


class Strata(NamedTuple):
    """Strata of the train rows: classes, or quantile bins of the first target of a regression."""

    task: TaskName
    class_names: tuple[str, ...] = ()
    in_use: bool = True  # whether each stratum gives its fraction of rows

    def of_units(self, y: Tensor, unit_of: Tensor, sizes: Tensor) -> Tensor:
        """Returns the most frequent class (U,) of each unit, or the quantile bin of its mean target.

        ``y`` are the targets of rows, ``unit_of`` the units of rows and ``sizes`` the rows of units.
        """
        if not self.in_use or self.task == "multilabel":
            return torch.zeros_like(sizes)
        if self.task == "regression":
            means = torch.zeros(len(sizes)).double().index_add(0, unit_of, y.double().view(len(y), -1)[:, 0]) / sizes
            ranks = torch.empty_like(sizes).index_copy(0, means.argsort(stable=True), torch.arange(len(sizes)))
            return ranks * BINS // len(sizes)
        classes = int(y.max()) + 1
        cells, counts = (unit_of * classes + y.long()).unique(return_counts=True)
        units, class_of = cells.div(classes, rounding_mode="floor"), cells % classes
        return torch.zeros_like(sizes).scatter_reduce(0, units, counts * classes + class_of, "amax") % classes

    def check(self, y: Tensor, is_kept: Tensor, fraction: float) -> None:
        """Raises ``DataError`` for a class of the train rows that none of the kept ones has.

        The same for a label that none or all of them have. ``y`` are the targets of the train rows.
        """
        if self.task == "regression":
            return
        is_multilabel = self.task == "multilabel"
        before, after = (
            rows.long().sum(dim=0) if is_multilabel else rows.long().bincount() for rows in (y, y[is_kept])
        )
        after = torch.cat([after, torch.zeros(len(before) - len(after), dtype=torch.int64)])
        names = self.class_names or tuple(map(str, range(len(before))))
        there = (before > 0).nonzero().flatten()
        present = [names[index] for index in there.tolist()]
        check_train_counts(present, after[there], int(is_kept.sum()), is_multilabel, fraction)


def divide_train(split: Split, rows: Splittable, strata: Strata, settings: SplitSettings) -> tuple[Split, Tensor]:
    """Returns the split with ``train_fraction`` of its train rows, and the train rows that are left out, sorted.

    The split seed chooses them, in whole groups, and the same fraction of each stratum. Their number is the nearest
    possible. Raises ``DataError`` for a class without a row among them, and a label that all or none of them have.
    """
    train, fraction = split.train, settings.train_fraction
    if fraction == 1 or rows.y is None:
        return split, train[:0]
    unit = torch.arange(len(rows.first))
    if settings.group is not None:
        unit = encode(rows.column("group", settings.group))[0]
    _, unit_of = unit[train].unique(return_inverse=True)
    sizes, y = unit_of.bincount(), rows.y[train]
    order = _nested_order(strata.of_units(y, unit_of, sizes), settings.seed)
    count = int((sizes[order].cumsum(0) - fraction * len(train)).abs().argmin()) + 1
    is_kept = torch.zeros(len(sizes), dtype=torch.bool).index_fill(0, order[:count], True)[unit_of]
    strata.check(y, is_kept, fraction)
    return split._replace(train=train[is_kept]), train[~is_kept]


def undivided(split: Split, left_out: Tensor) -> Split:
    """Returns the split with the train rows that were left out."""
    return split._replace(train=torch.cat([split.train, left_out]).sort().values) if len(left_out) else split


def fraction_note(fraction: float) -> list[str]:
    """Returns a note on a smaller train split, if it is one."""
    return [] if fraction == 1 else [f"--data.train_fraction {fraction:g}: the other train rows are left out"]


def _nested_order(strata: Tensor, seed: int) -> Tensor:
    """Returns an order of units (U,), random but that every beginning has about the same fraction of each stratum."""
    shuffled = torch.randperm(len(strata), generator=torch.Generator().manual_seed(seed))
    by_stratum = shuffled[strata[shuffled].argsort(stable=True)]
    stratum_of, counts = strata[by_stratum], strata.bincount()
    ranks = torch.arange(len(strata)) - (counts.cumsum(0) - counts)[stratum_of]
    position = torch.empty(len(strata)).double().index_copy(0, by_stratum, (ranks + 0.5) / counts[stratum_of].double())
    return shuffled[position[shuffled].argsort(stable=True)]
