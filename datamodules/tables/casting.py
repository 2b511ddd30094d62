"""The values of one column as numbers, days or the codes of categories, or why they cannot be."""

import polars
import torch
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.errors import DataError

CATEGORICAL = (polars.String, polars.Boolean, polars.Categorical, polars.Enum)
"""The cells of a table that are no number and no time."""


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
    return as_tensor(numeric_series(column))


def numeric_series(column: polars.Series) -> polars.Series:
    """The same as float64, null where missing.

    Raises:
        DataError: As ``to_numbers`` does.
    """
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
    return as_tensor(day_series(column))


def day_series(column: polars.Series) -> polars.Series:
    """The same as float64, null where missing.

    Raises:
        DataError: As ``to_days`` does.
    """
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
