"""Rows of a table that came as JSON or CSV, as a frame; and which frames may be one frame without a value changing."""

import base64
import binascii
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy
import polars

from datamodules import DataError
from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs, Inputs
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.serve.server_settings import UNFIT, Refused

LARGEST = 2**63
"""Whole numbers from here on are floating-point numbers."""


@dataclass(frozen=True)
class Source:
    """What one request asks to predict.

    Args:
        value: For ``Inputs.chunks``.
        rows: How many there are.
        key: Sources of one key may be predicted as one, one behind another; None for one that goes alone.
    """

    value: Any
    rows: int
    key: Hashable | None


def check_names(rows: list[dict[str, Any]]) -> None:
    """Raise ``DataError`` for objects with different names."""
    names = rows[0].keys()
    for place, row in enumerate(rows):
        if row.keys() != names:
            other = sorted(row.keys() ^ names)[0]
            raise DataError(
                f"row {place} has {'a' if other in row else 'no'} column {other[:40]} and row 0 has "
                f"{'none' if other in row else 'one'}; give every row the same, null for a missing value"
            )


def objects_key(rows: list[dict[str, Any]], inputs: Any) -> Hashable | None:
    """The names and types of objects; None where their types differ, or where they may be steps of a series.

    Among objects of one key no value makes a column of another type, or says in which format the dates of others are.
    """
    kinds = inputs.kinds if isinstance(inputs, TableInputs) else {}
    keys = {tuple((name, _type(value, *kinds.get(name, ("", "")))) for name, value in row.items()) for row in rows}
    one_kind = len(keys) == 1 and isinstance(inputs, TableInputs | TextInputs)
    return ("objects", *keys) if one_kind else None


def _type(value: Any, kind: str, came: str) -> Any:
    if kind == "numeric" and came != "Boolean" and type(value) is int:
        return float
    return value.translate(DIGITS) if kind == "date" and isinstance(value, str) else type(value)


DIGITS = str.maketrans("123456789", "000000000")


def as_source(value: Any) -> Any:
    """What ``Inputs.chunks`` takes: of objects a frame.

    Raises:
        DataError: For other values of a cell than texts, numbers, truth values and null.
    """
    if not (isinstance(value, list) and isinstance(value[0], dict)):
        return value
    return polars.DataFrame([_column(name, [row[name] for row in value]) for name in value[0]])


def _column(name: str, values: list[Any]) -> polars.Series:
    for place, value in enumerate(values):
        if isinstance(value, list | dict):
            kind = "an array" if isinstance(value, list) else "an object"
            raise DataError(f"row {place} has {kind} in column {name[:40]}, which is no cell of a table; send a value")
        if isinstance(value, int) and abs(value) >= LARGEST:
            values[place] = _as_float(value)
    column = polars.Series(name, values, strict=False)
    return column.cast(polars.String) if column.dtype == polars.Null else column


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def of_frame(frame: polars.DataFrame, inputs: Any) -> Source:
    """A frame; of another's dates its own might be read in another format, and series have ids that are their own."""
    kinds = inputs.kinds if isinstance(inputs, TableInputs) else {}
    named = {name for name, (kind, _) in kinds.items() if kind == "date"}
    dates = any(one.name in named and one.dtype == polars.String for one in frame)
    alone = dates or not isinstance(inputs, TableInputs | TextInputs)
    return Source(frame, len(frame), None if alone else tuple((one.name, str(one.dtype)) for one in frame))


def takes(inputs: Inputs) -> dict[str, Callable[[list[Any], Any], Source]]:
    """What the rows of a JSON body may be, by the words of an error, and how each is read."""
    match inputs:
        case TableInputs():
            return {"objects": of_objects}
        case TextInputs():
            return {"texts": of_texts, "objects": of_objects}
        case SeriesInputs():
            return {"arrays": of_series} if inputs.id is None else {"arrays": of_series, "objects": of_objects}
        case ImageInputs():
            return {"texts": of_base64, "arrays": of_arrays}
    return {"arrays": of_arrays}


def kind_of(rows: list[Any]) -> str:
    """What rows are, by the words of an error.

    Raises:
        Refused: For rows of several kinds, and for what is no row.
    """
    kinds: dict[type, str] = {dict: "objects", str: "texts", list: "arrays"}
    first = type(rows[0])
    for place, row in enumerate(rows):
        if type(row) not in kinds:
            raise Refused(UNFIT, f"row {place} is {json.dumps(row)[:40]}; a row is an object, an array or a text")
        if type(row) is not first:
            raise Refused(UNFIT, f"row {place} is of another kind than row 0; send rows of one kind")
    return kinds[first]


def meant(kind: str) -> str:
    """A kind with an example of it."""
    return {"objects": 'objects such as {"column": value}', "arrays": "arrays of numbers"}.get(kind, kind)


def of_objects(rows: list[Any], inputs: Any) -> Source:
    """Rows of a table."""
    check_names(rows)
    return Source(rows, len(rows), objects_key(rows, inputs))


def of_texts(rows: list[Any], inputs: Any) -> Source:
    """Texts."""
    return Source(rows, len(rows), ("list",))


def of_base64(rows: list[Any], inputs: Any) -> Source:
    """Image files in base64, with or without ``data:image/png;base64,`` ahead.

    Raises:
        Refused: For other texts.
    """
    images = []
    for place, row in enumerate(rows):
        try:
            images.append(base64.b64decode(row.rpartition(",")[2] if row.startswith("data:") else row, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Refused(UNFIT, f"row {place} is no base64; send an image file's bytes in base64") from error
    return Source(images, len(images), ("list",))


def of_series(rows: list[Any], inputs: SeriesInputs) -> Source:
    """Series (T,) or (C, T) each, null for a missing value; such with windows have several answers, and go alone."""
    try:
        arrays = [numpy.atleast_2d(numpy.asarray(row, dtype=numpy.float64)) for row in rows]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"the arrays are no series: {_told(error)}") from error
    return Source(arrays, len(rows), ("list",) if inputs.window is None else None)


def of_arrays(rows: list[Any], inputs: ArrayInputs | ImageInputs) -> Source:
    """Arrays of one shape.

    Raises:
        DataError: For other rows.
    """
    try:
        array = numpy.asarray(rows)
        if array.dtype.kind not in "biuf":
            raise ValueError("a value is no number, or one that is too large")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"the rows are no arrays of one shape: {_told(error)}") from error
    return Source(array, len(array), ("array", array.shape[1:], array.dtype.kind))


def _told(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__


def merged(values: list[Any]) -> Any:
    """The values of several sources of one key, one behind another."""
    if isinstance(values[0], polars.DataFrame):
        return polars.concat(values)
    return (
        numpy.concatenate(values) if isinstance(values[0], numpy.ndarray) else [one for some in values for one in some]
    )
