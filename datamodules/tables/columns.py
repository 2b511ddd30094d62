"""Columns of a table as raw values: numbers, categories or dates, before anything is learned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.casting import check_dtype, day_series, encode, numeric_series
from datamodules.tables.cell_types import stored
from datamodules.tables.lazy_numbers import Numbers

ColumnType = Literal["numeric", "categorical", "date"]
"""date: a number, the days since 1970-01-01."""

FEW = 20
"""A column of no more different texts is never taken for an id."""

NUMBER = r"^[-+]?[$€£]? ?(\d{1,3}([,.' ]\d{3})+|\d+)([.,]\d+)? ?[%$€£]?$"
"""A number with a decimal comma, separated thousands, a percent sign or a currency."""

MOSTLY = 0.8
"""Fraction of a column's texts from which on it is named as one of numbers."""


@dataclass
class Columns:
    """Input columns of a table, in the order of the file within each type.

    Args:
        numbers: Values of the numeric columns and dates (N, F) float64, NaN where missing; of a file as ``Numbers``.
        codes: Values of the categorical columns (N, C) int64, indices into ``levels``, -1 where missing.
        number_names: Names of the columns of ``numbers``.
        category_names: Names of the columns of ``codes``.
        levels: Different values of each categorical column, sorted.
        kinds: Column type and stored data type of each column, by its name, see ``cell_types.stored``.
    """

    numbers: Tensor | Numbers
    codes: Tensor
    number_names: list[str]
    category_names: list[str]
    levels: list[list[str]]
    kinds: dict[str, tuple[ColumnType, str]]


def read_columns(frame: polars.DataFrame, types: Mapping[str, ColumnType]) -> Columns:
    """Returns the columns of a frame as raw values.

    Args:
        frame: Input columns only.
        types: Column types that are not inferred from the values.

    Raises:
        DataError: For a column with infinite values, of text that is no category, or of another type than ``types``.
    """
    numbers, codes, levels, kinds = [], {}, [], {}
    for column in frame.iter_columns():
        kind = types.get(column.name) or infer_type(column)
        kinds[column.name] = (kind, stored(column.dtype))
        if kind == "categorical":
            codes[column.name], different = encode(column)
            levels.append(different)
        else:
            values = day_series(column) if kind == "date" else numeric_series(column)
            numbers.append(column if column.dtype.is_numeric() else values)
    names, rows = [column.name for column in numbers], len(frame)
    stacked = _stack(codes.values(), rows, torch.int64)
    return Columns(Numbers(numbers, rows), stacked, names, list(codes), levels, kinds)


def arrange(
    numbers: Mapping[str, Tensor],
    codes: Mapping[str, Tensor],
    levels: list[list[str]],
    kinds: dict[str, tuple[ColumnType, str]],
    rows: int,
) -> Columns:
    """Returns columns (N,) stacked to ``Columns``."""
    return Columns(
        _stack(numbers.values(), rows, torch.float64),
        _stack(codes.values(), rows, torch.int64),
        list(numbers),
        list(codes),
        levels,
        kinds,
    )


def infer_type(column: polars.Series) -> ColumnType:
    """Returns the type of a column by its values.

    Raises:
        DataError: For text of which nearly every value is another one, and for nested values and bytes.
    """
    if column.dtype == polars.String:
        different, rows = column.drop_nulls().n_unique(), column.count()
        if different > max(FEW, rows / 2):
            raise DataError(
                number_note(column)
                or f"column {column.name} has {different:,} different texts in {rows:,} rows, like an id or free text; "
                f"drop it with --data.drop, or say --data.types.{column.name} categorical"
            )
    return type_of(column.name, column.dtype)


def number_note(column: polars.Series) -> str:
    """Returns a sentence if most texts of a column are numbers that cannot be read, or empty."""
    texts = column.drop_nulls()
    odd = texts.filter(texts.cast(polars.Float64, strict=False).is_null())
    if not len(odd) or texts.str.contains(NUMBER).sum() < MOSTLY * len(texts):
        return ""
    return (
        f"column {column.name} is categorical, though nearly all its values are numbers: {odd[0][:40]!r} is none; "
        f"write it with a decimal point, name it in --data.missing, or say --data.types.{column.name} categorical"
    )


def type_of(name: str, dtype: polars.DataType) -> ColumnType:
    """Returns the type of a column by its data type: text and truth values are categories, durations are numbers.

    Raises:
        DataError: For nested values and bytes.
    """
    check_dtype(name, dtype)
    return (
        "numeric"
        if dtype.is_numeric() or dtype == polars.Duration
        else "date"
        if dtype.is_temporal()
        else "categorical"
    )


def _stack(columns: Iterable[Tensor], rows: int, dtype: torch.dtype) -> Tensor:
    listed = list(columns)
    return torch.stack(listed, dim=1) if listed else torch.empty(rows, 0, dtype=dtype)
