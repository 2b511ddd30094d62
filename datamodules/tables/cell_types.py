"""Casts of new cells to the column types seen in training: 1 and 1.0 differ as categories, True and true do not."""

import polars
from polars.datatypes import DataType, DataTypeClass
from polars.exceptions import PolarsError

NUMBERS = {
    str(kind): kind
    for kind in (
        polars.Int8, polars.Int16, polars.Int32, polars.Int64,
        polars.UInt8, polars.UInt16, polars.UInt32, polars.UInt64,
        polars.Float32, polars.Float64,
    )
}  # fmt: skip


def stored(kind: DataType | DataTypeClass) -> str:
    """Returns the name of a column's data type in a checkpoint; durations are days."""
    if kind.is_numeric() or kind == polars.Duration:
        return str(kind) if str(kind) in NUMBERS else "Float64"
    if kind in (polars.Boolean, polars.Date, polars.Time):
        return str(kind)
    return "Datetime" if kind == polars.Datetime else "String"


def parsed(text: polars.Series, kind: str) -> polars.Series:
    """Parses texts as a type that ``stored`` named; null where a text cannot be parsed."""
    try:
        match kind:
            case "Boolean":
                values = {"true": True, "false": False}
                return text.str.to_lowercase().replace_strict(values, default=None, return_dtype=polars.Boolean)
            case "Date":
                return text.str.to_date(strict=False)
            case "Time":
                return text.str.to_time(strict=False)
            case "Datetime":
                return text.str.to_datetime(strict=False)
            case "String":
                return text
        return text.cast(NUMBERS[kind], strict=False)
    except PolarsError:  # no date has a format that polars infers
        return text.clear(len(text))


def inferred_types(frame: polars.DataFrame) -> polars.DataFrame:
    """Casts columns of stripped texts to the first of whole numbers, numbers, truth values, dates and times that fits.

    Whole numbers with leading zeros stay texts: they are codes, such as 0501.
    """
    return frame.with_columns(_inferred(column) for column in frame.select(polars.selectors.string()).iter_columns())


def _inferred(text: polars.Series) -> polars.Series:
    values = text.drop_nulls()
    head = values.head(100)
    if not len(head) or (values.str.contains(r"^[+-]?\d+$").all() and values.str.contains(r"^[+-]?0\d").any()):
        return text
    for kind in ("Int64", "Float64", "Boolean", "Date", "Datetime", "Time"):
        if not parsed(head, kind).null_count():
            column = parsed(text, kind)
            if column.null_count() == text.null_count():
                return column
    return text


def as_text(column: polars.Series, kind: str) -> polars.Series:
    """Casts a column to texts, written as in a column of the type ``kind``; other values keep their text."""
    text = column.cast(polars.String)
    if column.dtype == polars.String:
        return parsed(column, kind).cast(polars.String).fill_null(text) if kind != "String" else text
    if column.dtype.is_numeric() and kind in NUMBERS:
        other = column.cast(NUMBERS[kind], strict=False)
        same = (other.cast(polars.Float64) == column.cast(polars.Float64)).fill_null(False)
        return polars.select(polars.when(same).then(other.cast(polars.String)).otherwise(text)).to_series()
    return text
