"""Types of cells: inferred from texts, and casts of new cells to the types that were seen in training."""

import re
from collections.abc import Sequence

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

DECIMAL = r"[-+]?\d*\.\d+([eE][-+]?\d+)?"

DAY_OR_MONTH = r"^(\d{1,2})[/-](\d{1,2})[/-]\d{4}\b"  # a date that begins with its day or its month


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
    """Casts the columns of texts, see ``inferred``."""
    return frame.with_columns(inferred(column) for column in frame.select(polars.selectors.string()).iter_columns())


def inferred(text: polars.Series) -> polars.Series:
    """Casts stripped texts to the first of whole numbers, numbers, truth values, dates and times that fits all of them.

    Whole numbers with leading zeros stay texts: they are codes, such as 0501.
    """
    values = text.drop_nulls()
    head = values.head(100)
    for kind in ("Int64", "Float64", "Boolean", "Date", "Datetime", "Time") if len(head) else ():
        if not parsed(head, kind).null_count() and (column := parsed(text, kind)).null_count() == text.null_count():
            return text if kind in NUMBERS and _are_codes(values) else column
    return text


def _are_codes(values: polars.Series) -> bool:
    zeros = values.filter(values.str.starts_with("0") | values.str.starts_with("-0") | values.str.starts_with("+0"))
    return zeros.str.contains(r"^[+-]?0\d").any() and values.str.contains(r"^[+-]?\d+$").all()


def day_first_note(text: polars.Series, dates: polars.Series) -> str:
    """Returns a sentence if dates that were read day first can be read month first as well, or an empty string."""
    texts = text.drop_nulls() if dates.dtype.is_temporal() else text.clear()
    first_numbers = texts.str.extract(DAY_OR_MONTH).drop_nulls().cast(polars.Int64)
    if not len(first_numbers) or (first_numbers > 12).any():
        return ""
    return (
        f"column {text.name} is read day first, {texts[0]} as {dates.drop_nulls()[0]:%-d %B %Y}, and all "
        "its dates can be read month first as well; write them as 2020-12-31 if they are"
    )


def header_note(names: Sequence[str], file: str) -> list[str]:
    """Returns a sentence if half of the names of columns are numbers, some of them decimal, as without a header."""
    decimals = [name for name in names if re.fullmatch(DECIMAL, name)]
    if not decimals or sum(name.isdigit() for name in names) + len(decimals) < len(names) / 2:
        return []
    reason = f"columns are named by numbers, such as {decimals[0]}"
    return [f"{reason}; if the first line of {file} is a row, write names above"]


def as_text(column: polars.Series, kind: str) -> polars.Series:
    """Casts a column to texts, written as in a column of the type ``kind``; other values keep their text.

    A whole number in a column of texts has no fraction: pandas makes 1 a 1.0 beside a gap.
    """
    text = column.cast(polars.String)
    if column.dtype == polars.String:
        written = parsed(column, kind)
        if kind in NUMBERS:
            written = written.fill_null(_exact(column.cast(polars.Float64, strict=False), kind))
    elif column.dtype.is_numeric():
        written = _exact(column, kind if kind in NUMBERS else "Int64")
    else:
        return text
    return written.cast(polars.String).fill_null(text)


def _exact(numbers: polars.Series, kind: str) -> polars.Series:
    """Casts numbers to another type, null where that changes the value."""
    other = numbers.cast(NUMBERS[kind], strict=False)
    same = (other.cast(polars.Float64) == numbers.cast(polars.Float64)).fill_null(False)
    return other.zip_with(same, other.clear(len(other)))


def conformed(column: polars.Series, dtype: DataType, categorical: bool) -> polars.Series:
    """Casts a column of a later file to the data type of the train rows' file; null where a cell does not fit.

    Any value fits texts, truth values and categories, and any number fits numbers.
    """
    if column.dtype == dtype:
        return column
    if categorical or dtype in (polars.String, polars.Boolean):
        return as_text(column, stored(dtype))
    if dtype.is_numeric():
        if column.dtype != polars.String:
            return column if column.dtype.is_numeric() else column.cast(polars.Float64, strict=False)
        whole = column.cast(polars.Int64, strict=False)
        return column.cast(polars.Float64, strict=False) if whole.null_count() > column.null_count() else whole
    if column.dtype == polars.String:
        dates = parsed(column, stored(dtype))
        if dtype == polars.Date and dates.null_count() > column.null_count():  # some have a time of day too
            dates = dates.cast(polars.Datetime("us")).fill_null(parsed(column, "Datetime").cast(polars.Datetime("us")))
        return dates
    is_moment = dtype in (polars.Date, polars.Datetime) and column.dtype in (polars.Date, polars.Datetime)
    has_zone = getattr(column.dtype, "time_zone", None) or getattr(dtype, "time_zone", None)
    if not column.dtype.is_temporal() or (is_moment and not has_zone):  # a date with a time of day is a date
        return column
    return column.cast(dtype, strict=False)
