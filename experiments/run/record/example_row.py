"""A test row as a request has it, and the ranges of the columns, with which the page of the server is filled."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from datamodules import DataError, DataModule
from datamodules.preprocessing.inputs import Inputs
from datamodules.preprocessing.json_rows import KINDS, as_source
from datamodules.regular_file import read_regular
from experiments.run.atomic_write import write_atomically

FILE = "example.json"

MOST_BYTES = 1 << 20
"""Limit of the file; a larger row is not kept."""

TRIES = 10
"""Test rows that are tried."""

MOST_READ = 64 << 20
"""Limit of a file that is read: an inspection of 100,000 columns has half of it."""


def keep_example(folder: Path, data: DataModule, rows: Tensor) -> list[str]:
    """Writes the first of the test rows, by ids (N,), that the model takes in a request; returns notes for the user.

    None is written if none of the first few is taken, or it is too large for a page.
    """
    try:
        for row in rows[:TRIES]:
            values = data.inputs.request_row(data.raw(row.view(1)))
            content = json.dumps({"row": int(row), "values": values}).encode()
            if len(content) <= MOST_BYTES and _is_taken(data.inputs, values):
                write_atomically(folder / FILE, content)
                break
    except Exception as error:  # a user's data module may raise anything, and the run is finished
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return [f"no test row was kept for the page of evenhand serve: {reason}"]
    return []


def _is_taken(inputs: Inputs, values: Any) -> bool:
    """Returns True if the inputs read a row of a request as one without a fault."""
    read = inputs.row_readers().get(KINDS.get(type(values), ""))
    if read is None:
        return False
    try:
        chunks = list(inputs.chunks(as_source(read([values]).value)))
    except DataError:
        return False
    return sum(len(chunk.ids) for chunk in chunks) > 0 and not any(len(chunk.bad) for chunk in chunks)


def read_example(folder: Path) -> dict[str, Any]:
    """Reads the example of a run or an artefact: ``row``, its id, and ``values``; of an artefact ``ranges`` too.

    Empty without a file that can be read.
    """
    return _read(folder / FILE)


def read_ranges(run: Path) -> dict[str, list[Any]]:
    """Reads the lowest and the highest value of columns in the train rows, by name, from the inspection of a run.

    Empty without a file that can be read.
    """
    ranges = {}
    with suppress(KeyError, TypeError, AttributeError):  # an inspection of another version
        for column in _read(run / "inspection.json")["columns"]:
            numbers = column["numbers"] or {}
            low, high = column.get("period") or (numbers.get("min"), numbers.get("max"))
            if low is not None and high is not None:
                ranges[column["name"]] = [low, high]
    return ranges


def _read(file: Path) -> dict[str, Any]:
    """Reads a JSON object; NaN and numbers that are no float64 are None. Empty for any other file."""
    try:
        if not file.is_file() or file.stat().st_size > MOST_READ:
            return {}
        text = read_regular(file, "restore it")
        content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (OSError, DataError, ValueError, RecursionError):  # no page is a reason to predict nothing
        return {}
    return content if isinstance(content, dict) else {}


def _finite(number: str) -> float | None:
    return value if math.isfinite(value := float(number)) else None
