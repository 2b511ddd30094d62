"""Whole tables in memory."""

from collections.abc import Sequence

import polars

from datamodules.tables.table_source import Table

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Texts that stand for a missing value in a file by default."""


def read_frame(path: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Returns the rows of a CSV or Parquet file in its order, null where missing; raises ``DataError`` for others."""
    return Table(path, missing).frame()


def parse(content: bytes, name: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Returns the rows of a file's content, which messages call ``name``; raises as ``read_frame`` does."""
    return Table(content, missing, name).frame()
