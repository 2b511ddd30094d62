"""What the columns of a table are: numbers, categories or dates, as raw values that nothing was learned for yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.casting import day_series, encode, numeric_series
from datamodules.tables.cell_types import stored
from datamodules.tables.lazy_numbers import Numbers

ColumnType = Literal["numeric", "categorical", "date"]
"""date: a number, the days since 1970-01-01."""

FEW = 20
"""So many different texts are never taken for an id."""


@dataclass
class Columns:
    """The columns of a table that a model is given, in the order of the file within each kind.

    Args:
        numbers: Values of the numeric columns and dates (N, F) float64, NaN where missing; of a file as ``Numbers``.
        codes: Values of the categorical columns (N, C) int64, numbers of ``levels``, -1 where missing.
        number_names: Names of the columns of ``numbers``.
        category_names: Names of the columns of ``codes``.
        levels: The different values of each categorical column in the file, sorted.
        kinds: What each column is, by its name, and as what it came, see ``cells.stored``.
    """

    numbers: Tensor | Numbers
    codes: Tensor
    number_names: list[str]
    category_names: list[str]
    levels: list[list[str]]
    kinds: dict[str, tuple[ColumnType, str]]


def read_columns(frame: polars.DataFrame, types: Mapping[str, ColumnType]) -> Columns:
    """The columns of a frame as raw values.

    Args:
        frame: Input columns only.
        types: What columns are, where it is not what their values look like.

    Raises:
        DataError: For a column without a value, with infinite values, of text that is no category, or of another type
            than was said.
    """
    if not frame.width:
        raise DataError("the table has no input column; drop fewer columns")
    numbers, codes, levels, kinds = [], {}, [], {}
    for column in frame.iter_columns():
        if column.null_count() == len(column):
            raise DataError(f"column {column.name} has no value in any row; drop it with --data.drop")
        kind = types.get(column.name) or infer_type(column)
        kinds[column.name] = (kind, stored(column.dtype))
        if kind == "categorical":
            codes[column.name], different = encode(column)
            levels.append(different)
        else:
            values = day_series(column) if kind == "date" else numeric_series(column)
            numbers.append(column if column.dtype.is_numeric() else values)
    names, rows = [column.name for column in numbers], len(frame)
    side_by_side = _stack(codes.values(), rows, torch.int64)
    return Columns(Numbers(numbers, rows), side_by_side, names, list(codes), levels, kinds)


def arrange(
    numbers: Mapping[str, Tensor],
    codes: Mapping[str, Tensor],
    levels: list[list[str]],
    kinds: dict[str, tuple[ColumnType, str]],
    rows: int,
) -> Columns:
    """Columns (N,) side by side."""
    return Columns(
        _stack(numbers.values(), rows, torch.float64),
        _stack(codes.values(), rows, torch.int64),
        list(numbers),
        list(codes),
        levels,
        kinds,
    )


def infer_type(column: polars.Series) -> ColumnType:
    """What a column's values look like: text and truth values are categories, unless nearly every text is another.

    Raises:
        DataError: For text that is no category.
    """
    if column.dtype.is_numeric():
        return "numeric"
    if column.dtype.is_temporal():
        return "date"
    if column.dtype == polars.String:
        different, there = column.drop_nulls().n_unique(), column.count()
        if different > max(FEW, there / 2):
            raise DataError(
                f"column {column.name} has {different:,} different texts in {there:,} rows, like an id or free text; "
                f"drop it with --data.drop, or say --data.types.{column.name} categorical"
            )
    return "categorical"


def _stack(columns: Iterable[Tensor], rows: int, dtype: torch.dtype) -> Tensor:
    listed = list(columns)
    return torch.stack(listed, dim=1) if listed else torch.empty(rows, 0, dtype=dtype)
