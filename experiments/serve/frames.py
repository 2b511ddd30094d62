"""Rows of a table that came as JSON or CSV, as a frame; and which frames may be one frame without a value changing."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import polars

from datamodules import DataError
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs

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
