"""Which of a table's splits is asked for, and making it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import polars
import torch
from torch import Tensor

from datamodules.columns import encode, to_days, to_numbers
from datamodules.errors import DataError
from datamodules.grouping import (
    Deal,
    deal_rows,
    deal_units,
    split_at_random,
    split_by_time,
    split_fold,
    split_given,
    together,
)
from datamodules.splits import Split

Duplicates = Literal["keep-together", "drop", "ignore"]
"""Exact copies of a row: into one part, out of the data but for the first, or like any other row."""


@dataclass(frozen=True)
class SplitSettings:
    """What was said about the split of a table.

    Args:
        ratios: Shares of train, val and test.
        seed: The split seed.
        group: Column whose equal values stay in one part.
        time: Column by whose order train comes before val before test.
        split_column: Column that says train, val or test.
        folds: Number of folds, one of which is the test part.
        fold: Which one, from 0.
        duplicates: What happens to exact copies of a row.

    Raises:
        DataError: For settings that exclude each other.
    """

    ratios: tuple[float, float, float]
    seed: int
    group: str | None
    time: str | None
    split_column: str | None
    folds: int | None
    fold: int
    duplicates: Duplicates

    def __post_init__(self) -> None:
        """Refuse two settings that would both decide."""
        ways = {"group": self.group, "time": self.time, "split_column": self.split_column, "folds": self.folds}
        said = [name for name, value in ways.items() if value is not None]
        if len(said) > 1 and said != ["group", "folds"]:
            raise DataError(f"--data.{said[0]} and --data.{said[1]} both decide the split; leave one out")
        if self.fold and self.folds is None:
            raise DataError("--data.fold is one of --data.folds, which is missing")

    @property
    def columns(self) -> list[str]:
        """Columns that steer the split and are no inputs."""
        return [name for name in (self.group, self.time, self.split_column) if name is not None]


class Labels(NamedTuple):
    """Classes to stratify by: their indices (N,) and names."""

    y: Tensor
    class_names: tuple[str, ...]


def split_table(
    frame: polars.DataFrame, content: list[str], labels: Labels | None, test: Tensor | None, settings: SplitSettings
) -> tuple[Split, list[str]]:
    """Split the rows of a frame.

    Args:
        frame: All columns.
        content: Inputs and targets: rows that are equal in all of them are copies.
        labels: What to stratify by; None splits without regard to classes.
        test: Rows of a test part that the data come with.
        settings: What was asked for.

    Returns:
        The split, and sentences about its copies.

    Raises:
        DataError: Where it cannot be made.
    """
    if test is not None and (settings.group, settings.time, settings.split_column, settings.folds) != (None,) * 4:
        raise DataError("these data come with a test part; set --data.pooled true to split all rows another way")
    every = torch.arange(len(frame))
    first = _first_copies(frame.select(content))
    copies = int((first != every).sum())
    rows = every[first == every] if settings.duplicates == "drop" else every
    unit = first if settings.duplicates == "keep-together" else every
    try:
        split = _split(frame, rows, _deal(frame, unit, labels, settings), test, settings)
    except DataError as error:
        if not copies or settings.duplicates == "ignore":
            raise
        raise DataError(f"{error} (without {copies:,} copies of rows, see --data.duplicates)") from error
    return split, _about(split, first, copies, settings.duplicates)


def _first_copies(content: polars.DataFrame) -> Tensor:
    """The first row that is equal to each row, (N,) int64."""
    named = content.rename({name: str(index) for index, name in enumerate(content.columns)})
    firsts = named.with_row_index("row").select(polars.col("row").min().over(named.columns))
    return torch.tensor(firsts.to_series().cast(polars.Int64).to_numpy())


def _deal(frame: polars.DataFrame, unit: Tensor, labels: Labels | None, settings: SplitSettings) -> Deal:
    if settings.group is not None:
        return deal_units(together(encode(_whole(frame[settings.group]))[0], unit))
    return deal_rows(unit, labels and labels.y, labels.class_names if labels else ())


def _split(frame: polars.DataFrame, rows: Tensor, deal: Deal, test: Tensor | None, settings: SplitSettings) -> Split:
    ratios, seed = settings.ratios, settings.seed
    if settings.time is not None:
        column = _whole(frame[settings.time])
        return split_by_time(rows, to_numbers(column) if column.dtype.is_numeric() else to_days(column), ratios)
    if settings.folds is not None:
        return split_fold(rows, ratios, seed, deal, settings.folds, settings.fold)
    if settings.split_column is not None:
        part = _whole(frame[settings.split_column]).cast(polars.String).to_list()
        return split_given(rows, part, ratios, seed, deal)
    if test is not None:
        of_test = torch.isin(torch.arange(len(frame)), test).tolist()
        return split_given(rows, ["test" if one else "train" for one in of_test], ratios, seed, deal)
    return split_at_random(rows, ratios, seed, deal)


def _whole(column: polars.Series) -> polars.Series:
    if column.null_count():
        raise DataError(
            f"column {column.name} decides the split, and is missing in {column.null_count():,} of {len(column):,} "
            f"rows, the first of them row {column.is_null().arg_max()}; fill it in"
        )
    return column


def _about(split: Split, first: Tensor, copies: int, duplicates: Duplicates) -> list[str]:
    if not copies:
        return []
    part = torch.full((len(first),), -1)
    for number, rows in enumerate(split):
        part[rows] = number
    apart = int(((part != part[first]) & (part >= 0)).sum())
    done = {"keep-together": "kept in one part", "drop": "left out", "ignore": "split like any other row"}[duplicates]
    told = f"exact copies of an earlier row: {copies:,} of {len(first):,} rows, {done}"
    if apart and duplicates == "keep-together":
        told += f" but for {apart:,}, whose part is given"
    return [told]
