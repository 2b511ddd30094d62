"""From the body of a request to what ``Inputs.chunks`` takes in Python; nothing in a body is ever taken for a path."""

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
from datamodules.tables.frames import MISSING, parse
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.serve.frames import Source, check_names, objects_key, of_frame
from experiments.serve.messages import CSV, IMAGE, JSON, Body

WRONG, TOO_LARGE, OTHER_KIND, UNFIT = 400, 413, 415, 422
"""HTTP's words for a body that cannot be read, is too large, is of another kind, and does not fit the model."""


class Refused(Exception):  # noqa: N818  # what happened, as an answer says it
    """A request that cannot be answered.

    Args:
        status: Of HTTP, 400 to 499.
        sentence: What is wrong, where, and what to do.
        bad: The rows that cannot be predicted, and why.
    """

    def __init__(self, status: int, sentence: str, bad: list[dict[str, Any]] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.bad = status, sentence, bad or []


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


def read_body(body: Body, inputs: Inputs, max_rows: int) -> Source:
    """What is to be predicted.

    Args:
        body: Of a request.
        inputs: Of the model.
        max_rows: Rows of a request at most.

    Raises:
        Refused: For a body that is no such thing.
        DataError: For rows that do not fit the model.
    """
    if body.kind == JSON:
        rows = _rows(parse_json(body.content))
    elif body.kind == CSV and "objects" in takes(inputs):
        if body.content.startswith(b"PAR1"):
            raise Refused(WRONG, "the body is Parquet, and text/csv was said; send CSV or JSON")
        frame = parse(body.content, "the body", getattr(inputs, "missing", MISSING))
        _check_count(len(frame), max_rows)
        return of_frame(frame, inputs)
    elif body.kind.startswith(IMAGE) and isinstance(inputs, ImageInputs):
        if not body.content:
            raise Refused(WRONG, "the body is empty; send an image")
        return Source([body.content], 1, ("list",))
    else:
        known = [
            JSON,
            *([CSV] if "objects" in takes(inputs) else []),
            *(["image/png"] * isinstance(inputs, ImageInputs)),
        ]
        said = f"is {body.kind!r:.60}" if body.kind else "is not said"
        raise Refused(OTHER_KIND, f"the Content-Type {said}; this model takes {' or '.join(known)}")
    _check_count(len(rows), max_rows)
    kind = _kind_of(rows)
    read = takes(inputs).get(kind)
    if read is None:
        raise Refused(UNFIT, f"the rows are {kind}, and this model takes {' or '.join(map(_meant, takes(inputs)))}")
    return read(rows, inputs)


def _meant(kind: str) -> str:
    return {"objects": 'objects such as {"column": value}', "arrays": "arrays of numbers"}.get(kind, kind)


def _check_count(rows: int, most: int) -> None:
    if not rows:
        raise Refused(UNFIT, "there is no row to predict")
    if rows > most:
        raise Refused(TOO_LARGE, f"there are {rows:,} rows and at most {most:,} are taken; send them in parts")


def parse_json(content: bytes) -> Any:
    """The value of a JSON text, as RFC 8259 has it.

    Raises:
        Refused: For what is none: NaN and Infinity, a name that comes twice and half a surrogate pair included.
    """
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
        if "\\ud" in text.lower():  # an escape may be half of a pair, which is no text
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise Refused(WRONG, f"the body is not UTF-8 text, byte {error.start} is not; send it as UTF-8") from error
    except UnicodeEncodeError as error:
        raise Refused(WRONG, "the body has half of a surrogate pair in a text; correct it") from error
    except RecursionError as error:
        raise Refused(WRONG, "the body is JSON that is nested too deep; send rows") from error
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise Refused(WRONG, f"the body is empty; send {EXAMPLE}" if not text.strip() else
                      f"the body is no JSON: {reason}; correct it") from error  # fmt: skip
    return value


EXAMPLE = '{"rows": [...]}'


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number there, and null stands for a missing one")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"an object has {again[:40]!r} twice")
    return made


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, dict) or "rows" not in value:
        raise Refused(UNFIT, f"the body is to be {EXAMPLE}, an object with the rows")
    others = [name[:40] for name in value if name != "rows"]
    if others:
        raise Refused(UNFIT, f"the body has {', '.join(others[:5])} beside rows; send {EXAMPLE} alone")
    if not isinstance(value["rows"], list):
        raise Refused(UNFIT, f"the rows are no array; send {EXAMPLE}")
    rows: list[Any] = value["rows"]
    return rows


def _kind_of(rows: list[Any]) -> str:
    kinds: dict[type, str] = {dict: "objects", str: "texts", list: "arrays"}
    first = type(rows[0])
    for place, row in enumerate(rows):
        if type(row) not in kinds:
            raise Refused(UNFIT, f"row {place} is {json.dumps(row)[:40]}; a row is an object, an array or a text")
        if type(row) is not first:
            raise Refused(UNFIT, f"row {place} is of another kind than row 0; send rows of one kind")
    return kinds[first]


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
