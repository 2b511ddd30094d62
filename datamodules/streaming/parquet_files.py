"""Parquet files of one table, one after another, read a piece at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars

from datamodules.class_folders import left_out, walk
from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from datamodules.tables.parquet_file import ParquetFile

PIECE_BYTES = 8 << 20
"""About so many bytes of a file are in a piece."""


class Piece(NamedTuple):
    """Consecutive rows of a file.

    Args:
        frame: The rows.
        location: The file and its first row of the piece, for messages.
    """

    frame: polars.DataFrame
    location: str


class ParquetFiles:
    """The Parquet files of a table, with the same columns.

    Args:
        path: A Parquet file, or a folder: the files in it and below it, ordered by name.
        missing: Texts that stand for a missing value.
        option: Option that named the path, for messages.

    Raises:
        DataError: For a folder without Parquet files, a file that cannot be read, or files whose columns differ.
    """

    def __init__(self, path: str, missing: Sequence[str] = (), option: str = "path") -> None:
        self.path = path
        ignored: list[str] = []
        self.paths = sorted(walk(Path(path), ignored, ".parquet")) if Path(path).is_dir() else [Path(path)]
        if not self.paths:
            raise DataError(f"--data.{option} {path} has no .parquet file in it")
        self.note = left_out(ignored, Path(path))
        for file in self.paths:
            check_regular(file)
        self.files = [ParquetFile(file, str(file), missing) for file in self.paths]
        self.schema = self.files[0].schema
        self.check_columns(self.schema, str(self.paths[0]))
        self.rows = sum(file.rows for file in self.files)
        if not self.rows:
            raise DataError(f"{path} has no rows")

    def check_columns(self, schema: polars.Schema, name: str) -> None:
        """Raises ``DataError`` for a file whose columns are not those of a schema, which messages call ``name``."""
        for file in self.files:
            for column, dtype in schema.items():
                if column not in file.schema:
                    raise DataError(f"{file.name} lacks the column {column}, which {name} has")
                if file.schema[column] != dtype:
                    raise DataError(
                        f"column {column} holds {file.schema[column]} in {file.name} and {dtype} in {name}; "
                        "write it alike"
                    )

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yields some columns of all rows in order; missing values are null."""
        size = max(1024, PIECE_BYTES // self.files[0].row_bytes(columns))
        for file in self.files:
            for number, frame in enumerate(file.pieces(columns, size)):
                yield Piece(frame, f"in {file.name}, counting from its row {number * size:,}")
