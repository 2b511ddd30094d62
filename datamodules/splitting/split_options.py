"""Options of the split, and the split that they describe."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError, StratifyError, check_names
from datamodules.splitting import grouping
from datamodules.splitting.grouping import Deal, train_and_val
from datamodules.splitting.splits import PARTS, Split
from datamodules.tables.casting import encode, to_days, to_numbers

OPTIONS = ("group", "time", "split_column", "folds")  # each decides the split

VAL_GIVEN = "these data come with validation rows, so that --data.val_fold cannot choose them; leave it out"

Duplicates = Literal["keep-together", "drop", "ignore"]
"""Exact copies of a row: kept in one split, dropped except the first, or split like any other row."""


@dataclass(frozen=True)
class SplitSettings:
    """Options of the split; raises ``DataError`` for two that both decide it, and for a fold that does not exist."""

    ratios: tuple[float, float, float]
    seed: int
    group: str | None  # column whose equal values stay in one split
    split_column: str | None  # column of the words train, val and test
    folds: int | None  # number of folds, one of which is the test split
    fold: int  # index of that fold, from 0
    time: str | None = None  # column by whose order train comes before val before test
    duplicates: Duplicates = "keep-together"
    train_fraction: float = 1.0  # of the train rows, in use
    val_fold: tuple[int, int] | None = None  # index and number of folds of the train and validation rows

    def __post_init__(self) -> None:
        options = [name for name in OPTIONS if getattr(self, name) is not None]
        if len(options) > 1 and options != ["group", "folds"]:
            raise DataError(f"--data.{options[0]} and --data.{options[1]} both decide the split; leave one out")
        if self.fold and self.folds is None:
            raise DataError("--data.fold is one of --data.folds, which is missing")
        if self.folds is not None and (self.folds < 2 or not 0 <= self.fold < self.folds):
            raise DataError(
                f"folds are at least 2 and fold counts from 0 to folds - 1; they are {self.folds} and {self.fold}"
            )
        if self.val_fold is not None:
            index, count = self.val_fold
            if not 0 <= index < count or count < 2:
                raise DataError(f"--data.val_fold [0,5] is fold 0 of 5, counted from 0, and it is [{index},{count}]")
            if (given := "time" if self.time else "split_column" if self.split_column else None) is not None:
                raise DataError(
                    f"--data.{given} decides which rows validate, and so does --data.val_fold; leave one out"
                )
        if not 0 < self.train_fraction <= 1:
            raise DataError(f"--data.train_fraction must be above 0 and up to 1, and it is {self.train_fraction:g}")

    @property
    def option(self) -> str | None:
        """The option that decides the split; None for a random split."""
        return next((name for name in OPTIONS if getattr(self, name) is not None), None)

    @property
    def columns(self) -> list[str]:
        """Columns that the split depends on, which are no inputs."""
        return [name for name in (self.group, self.time, self.split_column) if name is not None]


class Labels(NamedTuple):
    """Classes of a stratified split: indices (N,) and names."""

    y: Tensor
    class_names: tuple[str, ...]


class Splittable(NamedTuple):
    """N rows to be split."""

    first: Tensor  # (N,), id of the first row that is equal to each row, which may be the row itself
    labels: Labels | None = None  # classes of a stratified split; None splits without regard to classes
    about: polars.DataFrame | None = None  # columns that the options may name
    val: Tensor | None = None  # row ids of a validation split that the data come with
    test: Tensor | None = None  # row ids of a test split that they come with
    y: Tensor | None = None  # targets (N,) or (N, R), by which a fraction of the train rows is chosen

    def column(self, option: str, name: str) -> polars.Series:
        """Returns the column that an option names; raises ``DataError`` if there is none, or values are missing."""
        about = polars.DataFrame() if self.about is None else self.about
        check_names(option, [name], about.columns)
        column = about[name]
        if column.null_count():
            raise DataError(
                f"column {name} decides the split, and is missing in {column.null_count():,} of {len(column):,} "
                f"rows, the first of them row {column.is_null().arg_max()}; fill it in"
            )
        return column


def split_data(rows: Splittable, settings: SplitSettings) -> tuple[Split, list[str]]:
    """Returns the split of rows and notes on it; raises ``DataError`` for options that these rows do not allow."""
    if rows.test is not None and settings.option is not None:
        raise DataError(
            "these data come with a test part; to split all rows another way, leave it out with --data.pooled true, "
            "or without --data.test_path"
        )
    if rows.val is not None and settings.val_fold is not None:
        raise DataError(VAL_GIVEN)
    every = torch.arange(len(rows.first))
    copies = int((rows.first != every).sum())
    kept = every[rows.first == every] if settings.duplicates == "drop" else every
    unit = rows.first if settings.duplicates == "keep-together" else every
    deal = _deal(rows, unit, settings)
    try:
        split = _split(rows, kept, deal, settings)
        if settings.val_fold is not None:
            split = grouping.fold_validation(split, settings.seed, deal, *settings.val_fold)
    except DataError as error:
        if not copies or settings.duplicates == "ignore":
            raise
        kind = StratifyError if isinstance(error, StratifyError) else DataError
        raise kind(f"{error} (without {copies:,} copies of rows, see --data.duplicates)") from error
    notes = _about(split, rows.first, copies, settings.duplicates)
    return split, notes + (_far_from_ratios(split, settings) if settings.option in ("group", "time") else [])


def _deal(rows: Splittable, unit: Tensor, settings: SplitSettings) -> Deal:
    labels = rows.labels
    if settings.group is not None:
        group = encode(rows.column("group", settings.group))[0]
        return grouping.deal_units(grouping.together(group, unit), labels and labels.y)
    return grouping.deal_rows(unit, labels and labels.y, labels.class_names if labels else ())


def _split(rows: Splittable, kept: Tensor, deal: Deal, settings: SplitSettings) -> Split:
    ratios, seed = settings.ratios, settings.seed
    if settings.time is not None:
        column = rows.column("time", settings.time)
        time = to_numbers(column) if column.dtype.is_numeric() else to_days(column)
        return grouping.split_by_time(kept, time, ratios)
    if settings.folds is not None:
        return grouping.split_fold(kept, ratios, seed, deal, settings.folds, settings.fold)
    if settings.split_column is not None:
        part = rows.column("split_column", settings.split_column).cast(polars.String).to_list()
        return grouping.split_given(kept, part, ratios, seed, deal)
    if rows.test is None:
        return Split(*deal(kept, ratios, seed))
    parts = numpy.full(len(rows.first), "train", dtype=object)
    if rows.val is not None:
        parts[rows.val.numpy()] = "val"
    parts[rows.test.numpy()] = "test"
    return grouping.split_given(kept, parts.tolist(), ratios, seed, deal)


def _far_from_ratios(split: Split, settings: SplitSettings) -> list[str]:
    """Returns a note on a split by group or time that whole groups or moments keep far from its ratios.

    It is far if a split has more than 2 rows and 5 % of all rows more or fewer than its ratio gives it.
    """
    sizes, ratios = [len(rows) for rows in split], list(settings.ratios)
    if settings.folds is not None:
        ratios = [share * (1 - 1 / settings.folds) for share in train_and_val(ratios)] + [1 / settings.folds]
    if settings.val_fold is not None:
        ratios = [
            (1 - ratios[2]) * share for share in (1 - 1 / settings.val_fold[1], 1 / settings.val_fold[1])
        ] + ratios[2:]
    wanted = [sum(sizes) * fraction for fraction in ratios]
    if all(abs(size - rows) <= max(2.0, 0.05 * sum(sizes)) for size, rows in zip(sizes, wanted, strict=True)):
        return []
    counts = ", ".join(f"{size:,} {name}" for size, name in zip(sizes, PARTS, strict=True))
    ideal = ", ".join(f"{rows:,.0f}" for rows in wanted)
    units = f"moments of {settings.time}" if settings.time else f"groups of {settings.group}"
    return [f"parts far from their ratios: {counts} rows instead of {ideal}, as {units} are not divided"]


def _about(split: Split, first: Tensor, copies: int, duplicates: Duplicates) -> list[str]:
    if not copies:
        return []
    done = {"keep-together": "kept in one part", "drop": "left out", "ignore": "split like any other row"}[duplicates]
    note = f"exact copies of an earlier row: {copies:,} of {len(first):,} rows, {done}"
    if duplicates == "keep-together":
        part = torch.empty_like(first)
        for number, rows in enumerate(split):
            part[rows] = number
        if apart := int((part != part[first]).sum()):
            note += f" but for {apart:,}, whose part is given"
    return [note]
