"""Cells of a new file as the train rows' file had them: a 1 there is no 1.0, and ``True`` is ``true``."""

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
    """What a checkpoint calls the type of a column."""
    if kind.is_numeric():
        return str(kind) if str(kind) in NUMBERS else "Float64"
    if kind in (polars.Boolean, polars.Date, polars.Time):
        return str(kind)
    return "Datetime" if kind == polars.Datetime else "String"


def parsed(text: polars.Series, kind: str) -> polars.Series:
    """Texts as values of a type that ``stored`` named; null where a text is none."""
    try:
        match kind:
            case "Boolean":
                known = {"true": True, "false": False}
                return text.str.to_lowercase().replace_strict(known, default=None, return_dtype=polars.Boolean)
            case "Date":
                return text.str.to_date(strict=False)
            case "Time":
                return text.str.to_time(strict=False)
            case "Datetime":
                return text.str.to_datetime(strict=False)
            case "String":
                return text
        return text.cast(NUMBERS[kind], strict=False)
    except PolarsError:  # of dates, not one of which shows it a format
        return text.clear(len(text))


def as_text(column: polars.Series, kind: str) -> polars.Series:
    """A column as texts, written as a column of the type ``kind`` would be; as it stands what is no such value."""
    text = column.cast(polars.String)
    if column.dtype == polars.String:
        return parsed(column, kind).cast(polars.String).fill_null(text) if kind != "String" else text
    if column.dtype.is_numeric() and kind in NUMBERS:
        other = column.cast(NUMBERS[kind], strict=False)
        same = (other.cast(polars.Float64) == column.cast(polars.Float64)).fill_null(False)
        return polars.select(polars.when(same).then(other.cast(polars.String)).otherwise(text)).to_series()
    return text
