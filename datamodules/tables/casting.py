"""Casts of one column to numbers, days or codes of categories."""

import math
from collections.abc import Callable, Sequence

import polars
import torch
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.errors import DataError

CATEGORICAL = (polars.String, polars.Boolean, polars.Categorical, polars.Enum)
"""Data types of a table's cells besides numbers and times."""

TO_TEXT = polars.selectors.by_dtype(polars.Null, polars.Categorical, polars.Enum)
"""Columns that are read as texts."""

LARGEST = torch.finfo(torch.float32).max  # a number beyond it is infinite for a model


def encode(column: polars.Series) -> tuple[Tensor, list[str]]:
    """Returns codes (N,) int64, -1 where missing, and the sorted texts that they index."""
    check_cells(column)
    text = column.cast(polars.String)
    different = sorted(text.drop_nulls().unique().to_list())
    codes = text.replace_strict(different, list(range(len(different))), default=-1, return_dtype=polars.Int64)
    return torch.tensor(codes.fill_null(-1).to_numpy()), different


def to_numbers(column: polars.Series) -> Tensor:
    """Casts a column to float64 values (N,), NaN where missing; raises ``DataError`` for others and beyond float32."""
    return as_tensor(checked(column, as_numbers(column), "numeric"))


def to_days(column: polars.Series) -> Tensor:
    """Casts dates, times or ISO 8601 text to float64 days since 1970-01-01 (N,), NaN where missing."""
    return as_tensor(checked(column, as_days(column), "date"))


def as_numbers(column: polars.Series) -> polars.Series:
    """Casts a column to float64, null where missing or where a text is no number."""
    check_cells(column)
    return column.cast(polars.Float64, strict=False)


def as_days(column: polars.Series) -> polars.Series:
    """Casts dates, times or ISO 8601 text to float64 days, null where missing or where a text is no date."""
    if column.dtype == polars.String:
        try:
            column = column.str.to_datetime(strict=False)
        except PolarsError:  # no value has a format that polars infers
            column = column.clear(len(column)).cast(polars.Datetime)
    if column.dtype == polars.Time:
        return column.cast(polars.Duration("us")).cast(polars.Int64) / 86_400e6
    if not column.dtype.is_temporal():
        raise DataError(f"column {column.name} is to be a date, and holds {column.dtype}; leave its type out")
    return column.cast(polars.Datetime("us")).cast(polars.Int64) / 86_400e6


def as_tensor(values: polars.Series) -> Tensor:
    """Converts a float64 series to a tensor (N,), NaN where null."""
    return torch.tensor(values.fill_null(float("nan")).to_numpy())


def beyond(values: polars.Series) -> polars.Series:
    """Returns True where a number is infinite, as it is to float32."""
    return (values.is_not_nan() & (values.abs() > LARGEST)).fill_null(False)


def all_fit(column: polars.Series, values: polars.Series) -> bool:
    """Returns True if each cell of a column has a float64 value that float32 can hold, without a look at any cell."""
    largest = values.abs().max()
    is_small = largest is None or not largest > LARGEST  # type: ignore[operator]  # a float
    return is_small and values.null_count() == column.null_count()


def checked(
    column: polars.Series, values: polars.Series, kind: str, location: Callable[[int], str] = "row {}".format
) -> polars.Series:
    """Returns the float64 ``values`` of a column; raises ``DataError`` for a cell that has none, or one too large."""
    if all_fit(column, values):
        return values
    wanted = "a date" if kind == "date" else kind
    if failed := (values.is_null() & column.is_not_null()).arg_true().to_list():
        raise DataError(
            f"column {column.name} is to be {wanted}, and {location(failed[0])} has {column[failed[0]]!r}; correct the "
            f"file, or say --data.types.{column.name} categorical"
        )
    if large := beyond(values).arg_true().to_list():
        value = values[large[0]]
        noun = "infinite values" if math.isinf(value) else f"values beyond float32, such as {value:g}"
        raise DataError(
            f"column {column.name} has {len(large)} {noun}, the first in {location(large[0])}; "
            "correct the file or drop the column"
        )
    return values


def check_cells(column: polars.Series) -> None:
    """Raises ``DataError`` for nested values and bytes."""
    check_dtype(column.name, column.dtype)


def check_dtype(name: str, dtype: polars.DataType) -> None:
    """Raises ``DataError`` for the data type of nested values and bytes."""
    if not (dtype.is_numeric() or dtype.is_temporal() or dtype in CATEGORICAL):
        raise DataError(f"column {name} holds {dtype}, which is no cell of a table; drop it with --data.drop")


def check_complete(column: polars.Series, noun: str) -> None:
    """Raises ``DataError`` for a column with missing values, which the message calls ``noun``."""
    if column.null_count():
        raise DataError(
            f"{noun} {column.name} is missing in {column.null_count():,} of {len(column):,} rows, the first of them "
            f"row {column.is_null().arg_max()}; drop those rows from the file"
        )


def normalize_cells(frame: polars.DataFrame, missing: Sequence[str]) -> polars.DataFrame:
    """Strips white space around texts, replaces NaN and texts for missing values by null, and durations by days."""
    texts, floats, durations = polars.selectors.string(), polars.selectors.float(), polars.selectors.duration()
    days = durations.cast(polars.Duration("us")).cast(polars.Int64) / 86_400e6
    frame = frame.with_columns(TO_TEXT.cast(polars.String), texts.str.strip_chars(), days)
    return frame.with_columns(
        polars.when(texts.is_in(list(missing))).then(None).otherwise(texts).name.keep(),
        floats.fill_nan(None),
    )
