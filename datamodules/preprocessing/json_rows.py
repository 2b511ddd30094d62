"""Rows of a request as sources of ``Inputs.chunks``, and which requests may be predicted as one source; and back."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy
import polars

from datamodules.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 2**63  # whole numbers from here on are floating-point numbers

KINDS: dict[type, str] = {dict: "objects", str: "texts", list: "arrays"}
"""Kinds of rows in JSON, by which ``Inputs.row_readers`` are named."""

DIGITS = str.maketrans("123456789", "000000000")


@dataclass(frozen=True)
class Source:
    """Rows of one request."""

    value: Any  # for ``Inputs.chunks``, by way of ``as_source``
    rows: int  # how many there are
    key: Hashable | None  # sources of one key may be predicted together; None for one that is predicted alone


def read_objects(rows: list[Any], kinds: Mapping[str, tuple[str, str]] | None) -> Source:
    """Reads rows of a table; raises ``DataError`` for objects with different names.

    ``kinds`` are types of columns, in the model and in the train rows' file; None for rows that go alone.
    """
    names = rows[0].keys()
    for index, row in enumerate(rows):
        if row.keys() != names:
            other = sorted(row.keys() ^ names)[0]
            raise DataError(
                f"row {index} has {'a' if other in row else 'no'} column {other[:40]} and row 0 has "
                f"{'none' if other in row else 'one'}; give every row the same, null for a missing value"
            )
    return Source(rows, len(rows), None if kinds is None else _objects_key(rows, kinds))


def _objects_key(rows: list[dict[str, Any]], kinds: Mapping[str, tuple[str, str]]) -> Hashable | None:
    """Returns the names and types of objects, or None where their types differ.

    Among objects of one key no value changes another column's type, or the format in which other dates are read.
    """
    keys = {tuple((name, _type(value, *kinds.get(name, ("", "")))) for name, value in row.items()) for row in rows}
    return ("objects", *keys) if len(keys) == 1 else None


def _type(value: Any, kind: str, stored: str) -> Any:
    if kind == "numeric" and stored != "Boolean" and type(value) is int:
        return float
    return value.translate(DIGITS) if kind == "date" and isinstance(value, str) else type(value)


def frame_source(frame: polars.DataFrame, alone: bool) -> Source:
    """Returns the rows of a frame, to be predicted alone or with frames of the same columns and types."""
    key = None if alone else tuple((column.name, str(column.dtype)) for column in frame)
    return Source(frame, len(frame), key)


def read_texts(rows: list[Any]) -> Source:
    """Reads texts."""
    return Source(rows, len(rows), ("list",))


def read_arrays(rows: list[Any]) -> Source:
    """Reads arrays of one shape; raises ``DataError`` for other rows."""
    try:
        array = numpy.asarray(rows)
        if array.dtype.kind not in "biuf":
            raise ValueError("a value is no number, or one that is too large")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"the rows are no arrays of one shape: {reason_of(error)}") from error
    return Source(array, len(array), ("array", array.shape[1:], array.dtype.kind))


def json_row(raw: "polars.DataFrame | polars.Series | Sequence[Tensor]") -> Any:
    """Returns a frame of one row as an object, a series of one text as the text, and one tensor as an array.

    Missing and infinite numbers are null, and numbers in single precision have their shortest digits.
    """
    if isinstance(raw, polars.DataFrame):
        return {column.name: _json_value(column[0], column.dtype == polars.Float32) for column in raw.iter_columns()}
    if isinstance(raw, polars.Series):
        return _json_value(raw[0])
    array = raw[0].numpy()
    cells = numpy.empty(array.size, dtype=object)
    cells[:] = [_json_value(value, array.dtype == numpy.float32) for value in array.ravel().tolist()]
    return cells.reshape(array.shape).tolist()


def _json_value(value: Any, single: bool = False) -> str | int | float | bool | None:
    if isinstance(value, float):
        return float(str(numpy.float32(value)) if single else value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def as_source(value: Any) -> Any:
    """Converts objects to a frame, and returns other values unchanged; raises ``DataError`` for a cell of several."""
    if not (isinstance(value, list) and isinstance(value[0], dict)):
        return value
    return polars.DataFrame([cell_column(name, [row[name] for row in value]) for name in value[0]])


def concatenated(values: list[Any]) -> Any:
    """Concatenates the values of sources of one key."""
    if isinstance(values[0], polars.DataFrame):
        return polars.concat(values)
    if isinstance(values[0], numpy.ndarray):
        return numpy.concatenate(values)
    return [row for rows in values for row in rows]


def reason_of(error: BaseException) -> str:
    """Returns an error's message on one line, or the name of its class."""
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__


def cell_column(name: str, values: list[Any]) -> polars.Series:
    """Converts the cells of a column to one type; raises ``DataError`` for a cell of several values."""
    for index, value in enumerate(values):
        if isinstance(value, list | dict):
            kind = "an array" if isinstance(value, list) else "an object"
            raise DataError(f"row {index} has {kind} in column {name[:40]}, which is no cell of a table; send a value")
        if isinstance(value, int) and abs(value) >= LARGEST:
            values[index] = float(str(value))  # infinite where float(value) overflows
    column = polars.Series(name, values, strict=False)
    return column.cast(polars.String) if column.dtype == polars.Null else column
