"""What the rows of a JSON body may be for each kind of inputs, and how they are read."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import numpy
import polars

from datamodules import DataError
from datamodules.imaging.inputs import ImageInputs
from datamodules.inputs import ArrayInputs, Inputs
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.serve.frames import Source, check_names, objects_key
from experiments.serve.refused import UNFIT, Refused


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
