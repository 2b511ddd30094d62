"""Reader of texts: columns of a table, and folders of files."""

from collections.abc import Sequence
from pathlib import Path

import polars
from polars.exceptions import PolarsError

from datamodules.class_folders import LABEL, read_class_folders, readable
from datamodules.errors import DataError
from datamodules.regular_file import read_regular
from datamodules.tables.table_source import Table

TEXT, ENDING = "text", ".txt"
"""Column of the texts of a folder, and ending of its files."""

JOINT = " | "
"""Separator of the texts of several columns, a token of its own."""


def joined(frame: polars.DataFrame, columns: Sequence[str]) -> polars.Series:
    """Joins the texts of columns, without the white space around them; empty where all are missing."""
    for column in frame.select(columns).iter_columns():
        if column.dtype.is_nested() or column.dtype in (polars.Binary, polars.Object):
            raise DataError(f"column {column.name} holds {column.dtype}, which is no text; choose another --data.text")
    try:
        stripped = [polars.col(name).cast(polars.String).str.strip_chars().replace("", None) for name in columns]
        return frame.select(polars.concat_str(stripped, separator=JOINT, ignore_nulls=True)).to_series().fill_null("")
    except PolarsError as error:
        raise DataError(f"the columns {', '.join(columns)} cannot be read as texts: {error}") from error


def as_written(
    frame: polars.DataFrame, source: str | bytes, columns: Sequence[str], missing: Sequence[str]
) -> polars.DataFrame:
    """Replaces text columns of a table by the text of its file: ``1.50`` is no number 1.5 there, as in prediction."""
    if len({*columns}) < len(columns) or not {*columns} <= {*frame.columns}:
        return frame  # the caller reports it
    return frame.with_columns(polars.concat([piece.frame for piece in Table(source, missing).pieces(columns)]))


def read_text_folder(path: str) -> tuple[polars.DataFrame, str]:
    """Reads a folder whose subfolders are the classes: ``text`` and ``label``, and a note on what is left out, or "".

    Rows are in the order of the classes' names; in a class, and in each folder below it, files come before folders.

    Raises:
        DataError: For a folder without classes, a class without a file, and a file that cannot be read as UTF-8.
    """
    files, frame, note = read_class_folders(Path(path), ENDING)
    return frame.select(polars.Series(TEXT, [read_text(file) for file in files]), LABEL), note


def read_text(file: Path) -> str:
    """Returns the text of a file; raises ``DataError`` if it cannot be read as UTF-8."""
    content = read_regular(file, "correct its permissions")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{readable(str(file))} is not UTF-8 text, line {line} is not; save it as UTF-8") from error
