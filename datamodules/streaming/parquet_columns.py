"""Columns of Parquet files as arrays: numbers, category codes, split parts, groups and class labels."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS
from datamodules.tables.casting import to_days, to_numbers
from datamodules.tables.targets import read_target
from datamodules.types import TaskName

MANY = 65_536
"""So many different values are never taken for categories or classes."""


@dataclass(frozen=True)
class Labelling:
    """What a target is.

    Args:
        task: What is asked.
        num_outputs: Of the network.
        class_names: The classes' or labels' names; none for regression.
        classes: The value of each class, ``[]`` where there are none.
        shape: Of one row's target.
    """

    task: TaskName
    num_outputs: int
    class_names: tuple[str, ...] | list[str]
    classes: list[Any]
    shape: tuple[int, ...] | list[int]

    def encode(self, frame: polars.DataFrame) -> Tensor:
        """A piece's targets: class indices (n,), labels (n, L) int64 or values (n, R) float64.

        Raises:
            DataError: For values that are none of the target's.
        """
        if self.classes:
            indices = list(range(len(self.classes)))
            coded = _comparable(frame.to_series()).replace_strict(self.classes, indices, return_dtype=polars.Int64)
            return torch.tensor(coded.to_numpy())
        y = torch.stack([to_numbers(column) for column in frame.iter_columns()], dim=1)
        return y.long() if self.task == "multilabel" else y


def read_labelling(pieces: Iterable[polars.DataFrame], task: TaskName | None) -> Labelling:
    """What the target columns are, by their different values, without missing ones.

    Args:
        pieces: The target columns of some rows each.
        task: What is asked; what the values look like where it is left out.

    Raises:
        DataError: As ``read_target`` does, and for more classes than there can be.
    """
    seen: dict[str, polars.Series] = {}
    for piece in pieces:
        for column in piece.iter_columns():
            known = seen.get(column.name)
            if known is None or len(known) <= MANY:
                different = _comparable(column).unique()
                seen[column.name] = different if known is None else known.append(different).unique()
    longest = max(map(len, seen.values()))
    frame = polars.DataFrame(
        # Columns of one length, with no value that was not there.
        [column.sort().extend_constant(column.min(), longest - len(column)) for column in seen.values()]
    )
    target = read_target(frame, task)
    if target.task != "regression" and longest > MANY:
        raise DataError(
            f"target {frame.columns[0]} has more than {MANY:,} different values; say --data.task regression"
        )
    one_class = target.task in ("binary", "multiclass")
    classes = [value for _, value in sorted(zip(target.y.tolist(), frame.to_series().to_list(), strict=True))]
    shape = () if one_class else (frame.width,)
    return Labelling(target.task, target.num_outputs, target.class_names, classes if one_class else [], shape)


def _comparable(column: polars.Series) -> polars.Series:
    """Numbers and truth values as they are, anything else as text."""
    return column if column.dtype.is_numeric() or column.dtype == polars.Boolean else column.cast(polars.String)


def side_by_side(columns: list[NDArray[Any]], rows: int) -> NDArray[Any]:
    """Columns (n,) as one array (n, columns), of none too."""
    return numpy.stack(columns, axis=1) if columns else numpy.empty((rows, 0))


def numbers_of(column: polars.Series, is_date: bool) -> NDArray[Any]:
    """Numbers or days (n,), NaN where missing: float32 where a file has no more digits, else float64.

    Raises:
        DataError: As ``to_numbers`` and ``to_days`` do.
    """
    if isinstance(column.dtype, polars.Float32 | polars.Float16) and not is_date:
        values = column.cast(polars.Float32).fill_null(float("nan")).to_numpy()
        if not numpy.isinf(values).any():
            return values
    return (to_days(column) if is_date else to_numbers(column)).numpy()


def codes_of(column: polars.Series, known: dict[str, int]) -> NDArray[Any]:
    """Codes of a piece's categories (n,), -1 where missing; new ones are added to those that are known.

    Raises:
        DataError: Where they become too many.
    """
    text = column.cast(polars.String)
    for level in sorted(set(text.unique().drop_nulls().to_list()) - known.keys()):
        known[level] = len(known)
    if len(known) > MANY:
        raise DataError(
            f"column {column.name} has more than {MANY:,} different texts, like an id or free text; "
            "drop it with --data.drop"
        )
    return _replaced(text, known, -1)


def parts_of(column: polars.Series) -> NDArray[Any]:
    """Places in ``PARTS`` (n,) of what a split column names.

    Raises:
        DataError: For other words, and where one is missing.
    """
    check_there(column, "split column")
    odd = column.cast(polars.String).is_in(PARTS).not_().arg_true().to_list()
    if odd:
        raise DataError(f"a row's part is train, val or test, and row {odd[0]} has {column[odd[0]]!r}")
    return _replaced(column.cast(polars.String), {name: index for index, name in enumerate(PARTS)}, -1)


def groups_of(column: polars.Series) -> NDArray[Any]:
    """Hashes of the groups' values (n,) int64, the same in every version of everything.

    Raises:
        DataError: Where one is missing.
    """
    check_there(column, "group column")
    text = column.cast(polars.String)
    hashes = {
        value: int.from_bytes(hashlib.blake2b(value.encode(), digest_size=8).digest(), "little", signed=True)
        for value in text.unique().to_list()
    }
    return _replaced(text, hashes, 0)


def _replaced(text: polars.Series, by: Mapping[str, int], default: int) -> NDArray[Any]:
    replaced = text.replace_strict(list(by), list(by.values()), default=default, return_dtype=polars.Int64)
    return replaced.fill_null(default).to_numpy()


def check_there(column: polars.Series, what: str) -> None:
    """Raise ``DataError`` for a column with a missing value, which a message calls ``what``."""
    if column.null_count():
        raise DataError(
            f"{what} {column.name} is missing in {column.null_count():,} rows, the first of them row "
            f"{column.is_null().arg_max()}; drop those rows"
        )
