"""Whole tables in memory."""

from collections.abc import Collection, Sequence

import polars

from datamodules.tables.table_source import Table

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Texts that stand for a missing value in a file by default."""


def parse(content: bytes, name: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Returns the rows of a CSV or Parquet file's content, which messages call ``name``, null where missing.

    Raises ``DataError`` for others.
    """
    return Table(content, missing, name).frame()


def parse_noted(
    source: str | bytes, name: str, used: Collection[str], missing: Sequence[str] = MISSING
) -> tuple[polars.DataFrame, list[str]]:
    """Returns the rows of a file or its content, as ``parse`` does, and notes on it and on its ``used`` columns."""
    table = Table(source, missing, name)
    frame = table.frame()
    return frame, table.notes_on(used)
