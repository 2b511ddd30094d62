"""What the columns of a table are: numbers, categories or dates, as raw values that nothing was learned for yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars
import torch
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.cells import stored
from datamodules.tables.numbers import Numbers

ColumnType = Literal["numeric", "categorical", "date"]
"""date: a number, the days since 1970-01-01."""

CATEGORICAL = (polars.String, polars.Boolean, polars.Categorical, polars.Enum)
"""The cells of a table that are no number and no time."""

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
            values = _days(column) if kind == "date" else _numbers(column)
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


def encode(column: polars.Series) -> tuple[Tensor, list[str]]:
    """Codes (N,) int64, -1 where missing, and the sorted texts that they number.

    Raises:
        DataError: For nested values and bytes.
    """
    check_cells(column)
    text = column.cast(polars.String)
    different = sorted(text.drop_nulls().unique().to_list())
    codes = text.replace_strict(different, list(range(len(different))), default=-1, return_dtype=polars.Int64)
    return torch.tensor(codes.fill_null(-1).to_numpy()), different


def to_numbers(column: polars.Series) -> Tensor:
    """Float64 values (N,), NaN where missing.

    Raises:
        DataError: For text that is no number, for infinite values, and for nested values and bytes.
    """
    return as_tensor(_numbers(column))


def _numbers(column: polars.Series) -> polars.Series:
    check_cells(column)
    values = column.cast(polars.Float64, strict=False)
    _check_cast(column, values, "numeric")
    infinite = values.is_infinite().fill_null(False)
    if infinite.any():
        raise DataError(
            f"column {column.name} has {infinite.sum()} infinite values, the first in row {infinite.arg_max()}; "
            "correct the file or drop the column"
        )
    return values


def to_days(column: polars.Series) -> Tensor:
    """Dates and times, or text in ISO 8601, as float64 days since 1970-01-01 (N,), NaN where missing.

    Raises:
        DataError: For what is neither.
    """
    return as_tensor(_days(column))


def _days(column: polars.Series) -> polars.Series:
    days = as_days(column)
    _check_cast(column, days, "a date")
    return days


def as_days(column: polars.Series) -> polars.Series:
    """The same as float64, null where missing, and where a text is no date.

    Raises:
        DataError: For a column that is neither dates, nor times, nor text.
    """
    if column.dtype == polars.String:
        try:
            column = column.str.to_datetime(strict=False)
        except PolarsError:  # not one of the values shows it a format
            column = column.clear(len(column)).cast(polars.Datetime)
    if column.dtype in (polars.Time, polars.Duration):
        return column.cast(polars.Duration("us")).cast(polars.Int64) / 86_400e6
    if not column.dtype.is_temporal():
        raise DataError(f"column {column.name} is to be a date, and holds {column.dtype}; leave its type out")
    return column.cast(polars.Datetime("us")).cast(polars.Int64) / 86_400e6


def as_tensor(values: polars.Series) -> Tensor:
    """Float64 values (N,), NaN where null."""
    return torch.tensor(values.fill_null(float("nan")).to_numpy())


def check_cells(column: polars.Series) -> None:
    """Raise ``DataError`` for nested values and bytes."""
    kind = column.dtype
    if not (kind.is_numeric() or kind.is_temporal() or kind in CATEGORICAL):
        raise DataError(f"column {column.name} holds {kind}, which is no cell of a table; drop the column")


def _check_cast(column: polars.Series, values: polars.Series, kind: str) -> None:
    failed = (values.is_null() & column.is_not_null()).arg_true().to_list()
    if failed:
        raise DataError(
            f"column {column.name} is to be {kind}, and row {failed[0]} has {column[failed[0]]!r}; correct the "
            f"file, or say --data.types.{column.name} categorical"
        )


def _stack(columns: Iterable[Tensor], rows: int, dtype: torch.dtype) -> Tensor:
    listed = list(columns)
    return torch.stack(listed, dim=1) if listed else torch.empty(rows, 0, dtype=dtype)
