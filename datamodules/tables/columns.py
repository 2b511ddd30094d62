"""Columns of a table as raw values: numbers, categories or dates, before anything is learned."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Literal

import polars
import torch
from torch import Tensor

from datamodules.errors import ColumnError, DataError
from datamodules.preprocessing.inputs import Reasons
from datamodules.tables.casting import all_fit, as_days, as_numbers, beyond, check_cells, check_dtype, checked, encode
from datamodules.tables.cell_types import as_text, inferred, parsed, stored
from datamodules.tables.lazy_numbers import Numbers
from datamodules.tables.targets import is_whole

ColumnType = Literal["numeric", "categorical", "date"]
"""date: a number, the days since 1970-01-01."""

Kinds = dict[str, tuple[ColumnType, str]]
"""Column type and stored data type of each column, by its name, see ``cell_types.stored``."""

FEW = 20  # a column of no more different texts is never taken for an id
MOSTLY = 0.8  # fraction of a column's texts from which on it is named as one of numbers or dates

NUMBER = (
    r"^\(?[-+\u2212]?(?:[$\u20ac\u00a3\u00a5]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|US\$|Rs\.?) ?)? ?"
    r"(?:(?:\d{1,3}(?:[,.' _\u00a0\u202f\u2019]\d{3})+|\d+)(?:[.,]\d*)?|[.,]\d+)(?:[eEdD][-+]?\d+)?\)?"
    r"[ \u00a0]?([^\d\s()]{0,6})$"
)
"""A number with a decimal comma, separated thousands, a currency, an accountant's parentheses or a unit, its group."""

ORDINALS = {"st", "nd", "rd", "th"}
"""No units: a 12th is no number that is written with one."""

DATE = (
    r"^(\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|"
    r"(?i:(\d{1,2}[ .-]*)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ .,-]+(\d{1,2}[ ,]+)?\d{2,4}))\b"
)
"""A date in any format, perhaps with a time."""


@dataclass
class Columns:
    """Input columns of a table, in the order of the file within each type."""

    numbers: Tensor | Numbers  # of the numeric columns and dates (N, F) float64, NaN where missing
    codes: Tensor  # of the categorical columns (N, C) int64, indices into ``levels``, -1 where missing
    number_names: list[str]
    category_names: list[str]
    levels: list[list[str]]  # different values of each categorical column, sorted
    kinds: Kinds


def read_cells(
    frame: polars.DataFrame,
    kinds: Kinds,
    reasons: Reasons | None = None,
    location: Callable[[int], str] = "row {}".format,
) -> Columns:
    """Returns columns of a frame as raw values of the types of the train rows, in fit and in prediction alike.

    A cell that does not fit its column's type or float32 is added to ``reasons``, by its row; without them it raises
    ``ColumnError`` with its ``location``, as nested values always do.
    """
    numbers, codes, levels = [], {}, []
    for name, (kind, dtype) in kinds.items():
        column = frame[name]
        with _of_column(name):
            check_cells(column)
        if kind == "categorical":
            codes[name], different = encode(as_text(column, dtype))
            levels.append(different)
            continue
        values = read_numbers(column, kind, dtype)
        if reasons is None:
            with _of_column(name):
                checked(column, values, kind, location)
        else:
            for row, reason in _misfits(column, values, kind).items():
                reasons.setdefault(row, reason)
        numbers.append(column if column.dtype.is_numeric() else values)
    names = [column.name for column in numbers]
    stacked = torch.stack([*codes.values()], dim=1) if codes else torch.empty(len(frame), 0, dtype=torch.int64)
    return Columns(Numbers(numbers, len(frame)), stacked, names, list(codes), levels, kinds)


@contextmanager
def _of_column(name: str) -> Iterator[None]:
    """Raises a ``DataError`` again as one of an input column."""
    try:
        yield
    except DataError as error:
        raise ColumnError(name, str(error)) from error


def read_numbers(column: polars.Series, kind: ColumnType, dtype: str) -> polars.Series:
    """Returns float64 values of numbers or dates, null where missing or where a cell does not fit."""
    cells = parsed(column, dtype) if column.dtype == polars.String and dtype in ("Boolean", "Time") else column
    return as_days(cells) if kind == "date" else as_numbers(cells)


def _misfits(column: polars.Series, values: polars.Series, kind: ColumnType) -> Reasons:
    reasons: Reasons = {}
    if all_fit(column, values):
        return reasons
    for row in ((values.is_null() & column.is_not_null()) | beyond(values)).arg_true().to_list():
        fault = "not finite" if values[row] in (inf, -inf) else "not within float32"
        if values[row] is None:
            fault = "not a date" if kind == "date" else "not a number"
        reasons[row] = f"column {column.name} is {str(column[row])[:40]!r}, which is {fault}"
    return reasons


def column_kinds(frame: polars.DataFrame, types: Mapping[str, ColumnType], train: Tensor, is_text: bool) -> Kinds:
    """Returns the types of columns: those of ``types``, or of the train rows' cells, which are texts in a CSV file."""
    kinds: Kinds = {}
    for column in frame.iter_columns():
        kind = types.get(column.name)
        if column.dtype == polars.String:
            column = column.gather(train.numpy())
            column = inferred(column) if is_text else column
        elif kind == "categorical" and column.dtype.is_float() and is_whole(column.gather(train.numpy()).drop_nulls()):
            column = column.clear().cast(polars.Int64)
        with _of_column(column.name):
            kinds[column.name] = (kind or infer_type(column), stored(column.dtype))
    return kinds


def infer_type(column: polars.Series) -> ColumnType:
    """Returns the type of a column by its values; raises ``ColumnError`` for texts that nearly all differ."""
    if column.dtype == polars.String:
        different, rows = column.drop_nulls().n_unique(), column.count()
        if different > max(FEW, rows / 2):
            raise ColumnError(
                column.name,
                number_note(column)
                or f"column {column.name} has {different:,} different texts in {rows:,} rows, like an id or free text; "
                f"name it with --data.id, drop it with --data.drop, or say --data.types.{column.name} categorical",
            )
    return type_of(column.name, column.dtype)


def number_note(column: polars.Series) -> str:
    """Returns a sentence if most texts of a column are numbers or dates that cannot be read, or empty."""
    texts = column.drop_nulls()
    odd = texts.filter(texts.cast(polars.Float64, strict=False).is_null())
    beginning = f"column {column.name} is categorical, though nearly all its values are"
    otherwise = f"or say --data.types.{column.name} categorical"
    if len(odd) and _look_like_numbers(texts):
        return (
            f"{beginning} numbers: {odd[0][:40]!r} is none; write it with digits and a decimal point alone, name it in "
            f"--data.missing, {otherwise}"
        )
    if len(odd) and texts.str.contains(DATE).sum() >= MOSTLY * len(texts):
        days = as_days(texts)
        if not days.null_count():
            return f"{beginning} dates; say --data.types.{column.name} date, {otherwise[3:]}"
        unread = texts.filter(days.is_null())[0][:40]
        return (
            f"{beginning} dates: {unread!r} is not read with the others, whose day or year comes first; "
            f"write all as 2020-12-31, month first and time zones too, {otherwise}"
        )
    return ""


def _look_like_numbers(texts: polars.Series) -> bool:
    """Returns True if most texts are numbers, all of the same unit, or of none."""
    units = texts.str.extract(NUMBER)  # empty without a unit, and null where a text is no number
    different = set(units.drop_nulls().unique()) - {""}
    return units.count() >= MOSTLY * len(texts) and len(different) <= 1 and not different & ORDINALS


def type_of(name: str, dtype: polars.DataType) -> ColumnType:
    """Returns the type of a column by its data type: text and truth values are categories, durations are numbers."""
    check_dtype(name, dtype)
    if dtype.is_numeric() or dtype == polars.Duration:
        return "numeric"
    return "date" if dtype.is_temporal() else "categorical"
