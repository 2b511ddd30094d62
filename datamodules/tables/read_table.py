"""Whole tables in memory."""

from collections.abc import Sequence

import polars

from datamodules.tables.table_source import Table

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Texts that stand for a missing value in a file by default."""


def read_frame(path: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Returns the rows of a file in the file's order; missing values are null.

    Args:
        path: A Parquet file, or a CSV file in UTF-8 with a header and one of the separators ``,`` ``;`` tab ``|``.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that does not exist, has no rows or cannot be read.
    """
    return Table(path, missing).frame()


def parse(content: bytes, name: str, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Returns the rows of a file's content, which messages call ``name``; raises as ``read_frame`` does."""
    return Table(content, missing, name).frame()
