"""Reader of texts: columns of a table, and folders of files."""

from collections.abc import Sequence
from pathlib import Path

import polars
from polars.exceptions import PolarsError

from datamodules.errors import DataError
from datamodules.regular_file import check_regular

TEXT, LABEL = "text", "label"
"""Columns of a folder of texts."""

JOINT = " | "
"""Separator of the texts of several columns, a token of its own."""


def joined(frame: polars.DataFrame, columns: Sequence[str]) -> polars.Series:
    """Joins the texts of columns, without the white space around them; empty where all are missing.

    Raises:
        DataError: For a column that holds no texts.
    """
    for column in frame.select(columns).iter_columns():
        if column.dtype.is_nested() or column.dtype in (polars.Binary, polars.Object):
            raise DataError(f"column {column.name} holds {column.dtype}, which is no text; choose another --data.text")
    try:
        stripped = [polars.col(name).cast(polars.String).str.strip_chars().replace("", None) for name in columns]
        return frame.select(polars.concat_str(stripped, separator=JOINT, ignore_nulls=True)).to_series().fill_null("")
    except PolarsError as error:
        raise DataError(f"the columns {', '.join(columns)} cannot be read as texts: {error}") from error


def read_text_folder(path: str) -> polars.DataFrame:
    """Reads a folder whose subfolders are the classes, into the columns ``text`` and ``label``.

    Rows are in the order of the classes' names and of the files' paths below them. Files whose name does not end in
    ``.txt``, and folders whose name begins with a dot, are ignored.

    Raises:
        DataError: For a folder without classes, a class without a file, and a file that cannot be read as UTF-8.
    """
    try:
        folders = sorted(entry for entry in Path(path).iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not folders:
            raise DataError(f"the folder {path} has no subfolders; there must be one for each class, with .txt files")
        texts, labels = [], []
        for folder in folders:
            files = sorted(file for file in folder.rglob("*.txt") if not file.is_dir())
            if not files:
                raise DataError(f"the class folder {folder} has no .txt file; add some or remove it")
            texts += [read_text(file) for file in files]
            labels += [folder.name] * len(files)
        return polars.DataFrame({TEXT: texts, LABEL: labels})
    except OSError as error:
        raise DataError(f"{error.filename or path} cannot be read: {error.strerror}") from error
    except UnicodeEncodeError as error:  # for a name that is not UTF-8
        raise DataError(f"a folder in {path} has a name that is not UTF-8: {error.object!r}; rename it") from error


def read_text(file: Path) -> str:
    """Reads a file.

    Raises:
        DataError: For a file that is not UTF-8.
        OSError: For a file that cannot be read.
    """
    check_regular(file)
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file} is not UTF-8 text, line {line} is not; save it as UTF-8") from error
