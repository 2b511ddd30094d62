"""Splits by groups, copies of a row, time, a split column or folds.

Like those of ``splits`` they are functions of the data and the split seed alone.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS, Split, among, split_rows

Deal = Callable[[Tensor, Sequence[float], int], list[Tensor]]  # (row ids, ratios, seed) -> splits, each sorted


def together(*keys: Tensor) -> Tensor:
    """Merges rows that share the value of any key, directly or through others; returns the first row of each's unit.

    The keys are int64 (N,) each, and so are the units.
    """
    unit = torch.arange(len(keys[0]))
    while True:
        before = unit
        for key in keys:
            groups, group_of = key.unique(return_inverse=True)
            first = torch.full((len(groups),), len(key)).scatter_reduce(0, group_of, unit, "amin")
            unit = first[group_of]
        if torch.equal(unit, before):
            return unit


def deal_units(unit: Tensor, labels: Tensor | None = None) -> Deal:
    """Returns a function that assigns whole units, the largest first, each to the split with the largest deficit.

    Units of about equal size, within a factor of 2, are in random order, so that the seed has an effect. With labels
    (N,), size and deficit are those of the classes that a unit has, each as a fraction of the class's rows. ``unit`` is
    the first row of each row's unit, (N,).
    """

    def deal(rows: Tensor, ratios: Sequence[float], seed: int) -> list[Tensor]:
        units, unit_of = unit[rows].unique(return_inverse=True)
        fractions = [fraction for fraction in ratios if fraction]
        if len(units) < len(fractions):
            raise DataError(
                f"{len(units)} groups cannot be dealt to {len(fractions)} parts; choose another --data.group"
            )
        label = torch.zeros_like(unit_of) if labels is None else labels[rows].long()
        totals = label.bincount().tolist()
        cells, counts = (unit_of * len(totals) + label).unique(return_counts=True)
        rows_of: list[dict[int, float]] = [{} for _ in units]  # of each class, as a fraction of the class's rows
        for cell, count in zip(cells.tolist(), counts.tolist(), strict=True):
            index, key = divmod(cell, len(totals))
            rows_of[index][key] = count / totals[key]
        deficit = [[fraction] * len(totals) for fraction in fractions]
        part_of = torch.empty(len(units), dtype=torch.int64)
        empty = list(range(len(fractions)))
        order = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed)).tolist()
        order.sort(key=lambda index: -math.frexp(max(rows_of[index].values()))[1])
        for position, index in enumerate(order):
            # The last units are for splits without a unit.
            choice = empty if len(order) - position == len(empty) else range(len(fractions))
            own = rows_of[index]
            need = {
                part: sum(totals[key] * deficit[part][key] * share for key, share in own.items()) for part in choice
            }
            part_of[index] = part = max(need, key=need.__getitem__)
            for key, share in own.items():
                deficit[part][key] -= share
            if part in empty:
                empty.remove(part)
        return among([rows[part_of[unit_of] == part] for part in range(len(fractions))], ratios)

    return deal


def deal_rows(unit: Tensor, labels: Tensor | None, class_names: Sequence[str]) -> Deal:
    """Returns a function that splits the first row of each unit as ``split_rows`` does; its copies follow it.

    The ratios are those of different rows. Without a copy the function is ``split_rows`` itself.
    """

    def deal(rows: Tensor, ratios: Sequence[float], seed: int) -> list[Tensor]:
        first = _among(unit[rows], len(unit)).nonzero().flatten()
        parts = split_rows(first, ratios, seed, None if labels is None else labels[first], class_names)
        if torch.equal(first, rows):
            return parts
        return [rows[_among(part, len(unit))[unit[rows]]] for part in parts]

    return deal


def _among(some: Tensor, count: int) -> Tensor:
    """Returns a mask of the rows ``some`` among ``count`` rows, (count,) bool."""
    return torch.zeros(count, dtype=torch.bool).index_fill(0, some, True)


def split_fold(rows: Tensor, ratios: Sequence[float], seed: int, deal: Deal, folds: int, fold: int) -> Split:
    """Makes one of ``folds`` equal folds the test split, and splits the rest into train and val in their proportion."""
    parts = deal(rows, [1 / folds] * folds, seed)
    rest = torch.cat([part for index, part in enumerate(parts) if index != fold]).sort().values
    train, val = deal(rest, train_and_val(ratios), seed)
    return Split(train, val, parts[fold])


def fold_validation(split: Split, seed: int, deal: Deal, fold: int, folds: int) -> Split:
    """Divides the train and validation rows of a split into equal folds, one of which is the validation split."""
    parts = deal(torch.cat([split.train, split.val]).sort().values, [1 / folds] * folds, seed)
    train = torch.cat([part for index, part in enumerate(parts) if index != fold]).sort().values
    return Split(train, parts[fold], split.test)


def split_given(rows: Tensor, part: Sequence[str | None], ratios: Sequence[float], seed: int, deal: Deal) -> Split:
    """Returns the splits that a column names; without validation rows, they are taken from the train rows.

    Raises ``DataError`` for another name than train, val and test, or without a train or test row.
    """
    names = [part[row] for row in rows.tolist()]
    odd = next((index for index, name in enumerate(names) if name not in PARTS), None)
    if odd is not None:
        raise DataError(f"a row's part is train, val or test, and that of row {int(rows[odd])} is {names[odd]!r}")
    train, val, test = (rows[torch.tensor([name == split for name in names])] for split in PARTS)
    if not len(train) or not len(test):
        raise DataError(f"the data give {len(train)} rows to train and {len(test)} to test; each part needs some")
    if not len(val):
        train, val = deal(train, train_and_val(ratios), seed)
    return Split(train, val, test)


def split_by_time(rows: Tensor, time: Tensor, ratios: Sequence[float]) -> Split:
    """Splits rows (M,) by their time (N,), none NaN: train before val before test; those of one moment stay together.

    The ratios are met as nearly as equal moments allow; raises ``DataError`` for fewer moments than splits.
    """
    moments, moment_of, counts = time[rows].unique(return_inverse=True, return_counts=True)
    parts = sum(fraction > 0 for fraction in ratios)
    if len(moments) < parts:
        raise DataError(f"a split by time needs {parts} different times, and there are {len(moments)}")
    ends = counts.cumsum(0).double()
    val_end = train_end = int((ends[: 1 - parts] - len(rows) * ratios[0]).abs().argmin())
    if ratios[1]:
        val_end = int((ends[train_end + 1 : -1] - len(rows) * sum(ratios[:2])).abs().argmin()) + train_end + 1
    is_train, is_test = moment_of <= train_end, moment_of > val_end
    return Split(*(rows[is_part].sort().values for is_part in (is_train, ~is_train & ~is_test, is_test)))


def train_and_val(ratios: Sequence[float]) -> list[float]:
    """Returns the proportion of train to val, as two fractions of 1."""
    return [fraction / sum(ratios[:2]) for fraction in ratios[:2]]
