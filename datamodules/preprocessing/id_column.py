"""Column that names rows, ``--data.id``: no input, and carried into predictions."""

from collections.abc import Sequence

import polars

from datamodules.errors import DataError, check_names

RESERVED = ("row", "target", "prediction", "reason")
"""Columns of predictions; names that begin with one of the first words and ``_`` are reserved as well."""

PREFIXES = ("target_", "prediction_", "probability_")


def check_id(name: str, columns: polars.DataFrame) -> None:
    """Raises ``DataError`` if no column has the name, if predictions have one of that name, or if it is nested."""
    check_names("id", [name], columns.columns)
    if name in RESERVED or name.startswith(PREFIXES):
        raise DataError(f"--data.id {name}: predictions have a column of that name; rename it in the file")
    check_id_type(name, columns.schema[name])


def check_id_type(name: str, dtype: polars.DataType) -> None:
    """Raises ``DataError`` for a column of lists, structures or bytes."""
    if dtype.is_nested() or dtype in (polars.Binary, polars.Object):
        raise DataError(f"--data.id {name}: it holds {dtype}, which names no row; choose a column of texts or numbers")


def and_id(columns: Sequence[str], name: str | None, present: Sequence[str]) -> list[str]:
    """Returns the columns that are read of a table: some, and the one of ``--data.id`` if the table has it."""
    return [*columns, *(column for column in present if column == name and column not in columns)]


def id_state(name: str | None) -> dict[str, str]:
    """Returns the entry of a checkpoint, or of an artefact, that ``--data.id`` makes; none without the option."""
    return {} if name is None else {"id_column": name}


def with_id(ids: polars.DataFrame, frame: polars.DataFrame, name: str | None) -> polars.DataFrame:
    """Adds the column ``name`` of a frame to the ids of its rows, if the frame has it; infinite numbers are missing."""
    if name is None or name not in frame.columns:
        return ids
    column = frame[name]
    check_id_type(name, column.dtype)
    if column.dtype.is_float():
        column = column.set(column.is_infinite(), None)
    return ids.with_columns(column)
