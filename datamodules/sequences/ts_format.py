"""The ``.ts`` format of the UCR and UEA archives.

Lines of ``#`` or ``%`` are comments, ``@name value`` is a property of all series, and behind ``@data`` each line is a
series: dimensions separated by ``:``, values separated by ``,``; the last field is its class or its value to predict.

Source: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html
"""

from typing import NamedTuple

import numpy
import polars
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Reasons
from datamodules.sequences.padded_series import Series, pad
from datamodules.tables.casting import LARGEST
from datamodules.types import TaskName

TARGET = "target"
"""Name of the target column."""


class Header(NamedTuple):
    """Header of a file: its classes and dimensions, none where they are not listed, and the kind of its labels."""

    classes: frozenset[str]
    regression: bool
    dimensions: int
    labelled: bool


def parse(content: bytes, name: str) -> Series:
    """Returns the series of a file's bytes, which messages call ``name``.

    A missing value is ``?`` or ``NaN``. Steps at the end of a series that are missing in all dimensions are padding,
    and left out. The header's lengths and missing values are ignored.

    Raises:
        DataError: For another format, time stamps, and series without a label.
    """
    header, lines = _read(content, name)
    if not header.labelled:
        raise DataError(
            f"{name} has neither @classLabel true nor @targetLabel true: its series have nothing to predict"
        )
    arrays, labels, dimensions = [], [], header.dimensions
    for number, line in lines:
        *parts, label = line.split(":")
        location = f"line {number} of {name}"
        dimensions = dimensions or len(parts)
        if len(parts) != (dimensions or 1) or not label.strip():
            raise DataError(
                f"{location} has {len(parts)} dimensions and {'a' if label.strip() else 'no'} label behind them, and "
                f"there must be {dimensions or 'some'} and a label"
            )
        arrays.append(_values(parts, location))
        labels.append(_label(label.strip(), header, location))
    target = polars.Series(TARGET, labels)
    targets = (target if header.regression else as_numbers(target)).to_frame()
    channels = tuple(map(str, range(dimensions)))
    task: TaskName | None = "regression" if header.regression else None
    return Series(*pad(arrays), targets, polars.DataFrame(), channels, task)


def parse_inputs(content: bytes, name: str, dimensions: int) -> tuple[Tensor, Tensor, Reasons]:
    """Returns the series (N, C, T) of a file without their labels, their lengths (N,), and why some are bad."""
    arrays, reasons = [], Reasons()
    for number, line in _read(content, name)[1]:
        parts = line.split(":")
        arrays.append(numpy.zeros((dimensions, 1)))
        try:
            if len(parts) not in (dimensions, dimensions + 1):
                raise DataError(f"line {number} has {len(parts)} parts, and there are {dimensions} dimensions")
            arrays[-1] = _values(parts[:dimensions], f"line {number}")
        except DataError as error:
            reasons[len(arrays) - 1] = str(error)
    return *pad(arrays), reasons


def as_numbers(labels: polars.Series) -> polars.Series:
    """Casts class labels to whole numbers if all are, so that 10 is sorted behind 9."""
    numbers = labels.cast(polars.Int64, strict=False)
    return numbers if numbers.cast(polars.String).equals(labels) else labels


def _read(content: bytes, name: str) -> tuple[Header, list[tuple[int, str]]]:
    """Returns the header, and the lines of the series with their numbers."""
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise DataError(f"{name} is not UTF-8 text, line {number} is not; save it as UTF-8") from error
    properties: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0][0] in "#%":
            continue
        if words[0][0] != "@":
            raise DataError(f"line {number} of {name} comes ahead of @data and begins with neither @ nor #")
        key = words[0][1:].lower()
        if key == "data":
            series = [(at, line) for at, line in enumerate(lines[number:], start=number + 1) if line.strip()]
            if not series:
                raise DataError(f"{name} has no series behind @data")
            return _parse_header(properties, name), series
        properties[key] = words[1:]
    raise DataError(f"{name} has no line @data, as a .ts file has ahead of its series")


def _parse_header(properties: dict[str, list[str]], name: str) -> Header:
    def yes(key: str) -> bool:
        return properties.get(key, ["false"])[:1] in (["true"], ["True"], ["TRUE"])

    if yes("timestamps"):
        raise DataError(
            f"{name} has time stamps (@timeStamps true), which are not read; save it without, or in long form as CSV"
        )
    regression = yes("targetlabel")
    dimensions = "".join(properties.get("dimensions", properties.get("dimension", ["0"])))
    if not dimensions.isdecimal():
        raise DataError(f"{name} says @dimensions {dimensions}, and that is a number")
    labelled = regression or yes("classlabel")
    classes = frozenset(properties.get("classlabel", [])[1:])
    return Header(classes, regression, int(dimensions), labelled)


def _values(parts: list[str], location: str) -> NDArray[numpy.float64]:
    rows = [part.replace("?", "nan").split(",") for part in parts]
    steps = [len(row) for row in rows]
    if min(steps) != max(steps):
        raise DataError(
            f"{location} has dimensions of {min(steps)} and of {max(steps)} steps; they must be equally long"
        )
    try:
        values = numpy.array([[float(value) for value in row] for row in rows])
    except ValueError as error:
        reason = str(error).rpartition(": ")[2][:40]
        raise DataError(f"{location} has {reason} among its values, which is no number and not ?") from error
    if (numpy.abs(values) > LARGEST).any():
        raise DataError(f"{location} has a value beyond float32 or infinite; correct it, or write ? for a missing one")
    return values


def _label(text: str, header: Header, location: str) -> str | float:
    if not header.regression:
        if header.classes and text not in header.classes:
            raise DataError(f"{location} has the class {text[:40]!r}, which @classLabel does not list")
        return text
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{location} ends with {text[:40]!r}, and a value to predict is a number") from error
    if not numpy.isfinite(value):
        raise DataError(f"{location} has no finite value to predict; leave the line out")
    return value
