"""Parquet files of one table, one after another, read a piece at a time; folders such as ``day=1`` name columns."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import polars

from datamodules.class_folders import OTHERS, TRAIN, left_out, walk
from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from datamodules.tables.casting import normalize_cells
from datamodules.tables.cell_types import inferred_types, parsed, stored
from datamodules.tables.parquet_file import ParquetFile

PIECE_BYTES = 8 << 20
"""About so many bytes of a file are in a piece."""

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Missing value in the name of a folder."""


Piece = tuple[polars.DataFrame, str]
"""Consecutive rows of a file, and for messages the file and its first row of the piece."""


class ParquetFiles:
    """The Parquet files of a table, with the same columns.

    Below folders called ``column=value``, each row has these columns too, as texts until ``cast_partitions``.

    Args:
        path: A Parquet file, or a folder: the files in it and below it, ordered by name. Names that begin with ``.`` or
            ``_`` are left out.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a folder without Parquet files, a file that cannot be read, or files whose columns differ.
    """

    def __init__(self, path: str, missing: Sequence[str] = ()) -> None:
        self.name, root = path, Path(path)
        ignored: list[str] = []
        found = sorted(walk(root, ignored, ".parquet")) if root.is_dir() else [root]
        self.paths = [file for file in found if not _is_of_spark(file.relative_to(root))]
        ignored += [str(file) for file in found if _is_of_spark(file.relative_to(root))]
        if not self.paths:
            raise DataError(f"{path} has no .parquet file in it")
        for file in self.paths:
            check_regular(file)
        self.files = [ParquetFile(file, str(file), missing) for file in self.paths]
        partitions = normalize_cells(_partitions(self.paths, root), [*missing, NULL])
        self.partitions = partitions.drop(self.files[0].columns, strict=False)
        self.schema = polars.Schema({**self.files[0].schema, **self.partitions.schema})
        self.columns = self.schema.names()
        self.check_columns(self.schema, str(self.paths[0]))
        self.rows = sum(file.rows for file in self.files)
        if not self.rows:
            raise DataError(f"{path} has no rows")
        names = ", ".join(self.partitions.columns)
        named = f"columns from the names of folders in {path}: {names}" if names else ""
        self.notes = [note for note in (left_out(ignored, root), named) if note]

    def check_columns(self, schema: polars.Schema, name: str) -> None:
        """Raises ``DataError`` for a file whose columns are not those of a schema, which messages call ``name``."""
        for file in self.files:
            columns = {**file.schema, **self.partitions.schema}
            for column, dtype in schema.items():
                if column not in columns:
                    raise DataError(f"{file.name} lacks the column {column}, which {name} has")
                if columns[column] != dtype:
                    raise DataError(
                        f"column {column} holds {columns[column]} in {file.name} and {dtype} in {name}; write it alike"
                    )

    def check_no_splits(self) -> None:
        """Raises ``DataError`` for files or folders that are called train, and val or test, beside one another."""
        below = {str(file.relative_to(self.name)).partition("/")[0] for file in self.paths}
        words = {re.split(r"[^a-z]", name.lower())[0] for name in below}
        if words.intersection(TRAIN) and words.intersection(OTHERS):
            raise DataError(
                f"{', '.join(sorted(below)[:5])} in {self.name} look like splits, not parts of one table; name each "
                "with --data.path, --data.val_path and --data.test_path, or rename them"
            )

    def cast_partitions(self, schema: polars.Schema | None = None) -> None:
        """Casts the columns that folders name to the types of a schema, or to the first that all their values have."""
        texts = self.partitions.select(name for name in self.partitions.columns if schema is None or name in schema)
        typed = inferred_types(texts)
        if schema is not None:
            typed = texts.select(parsed(column, stored(schema[column.name])) for column in texts.iter_columns())
        for text, column in zip(texts.iter_columns(), typed.iter_columns(), strict=True):
            odd = text.filter(column.is_null() & text.is_not_null())
            if len(odd):
                raise DataError(f"folder {text.name}={odd[0]} of {self.name} is no {column.dtype}, as in train rows")
        self.partitions = typed
        self.schema = polars.Schema({**self.schema, **typed.schema})

    def frame(self) -> polars.DataFrame:
        """Returns all rows; missing values are null."""
        self.check_no_splits()
        self.cast_partitions()
        frames = (self._extended(file.frame(), index) for index, file in enumerate(self.files))
        return polars.concat(frame.select(self.columns) for frame in frames)

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[polars.DataFrame]:
        """Yields some columns of all rows in order, at most ``rows`` at a time; missing values are null."""
        return (frame for frame, _ in self.located_pieces(columns, rows))

    def located_pieces(self, columns: Sequence[str], rows: int | None = None) -> Iterator[Piece]:
        """Yields some columns of all rows in order, with the file and row of each piece."""
        # A file without any of the columns still has a number of rows.
        own = [name for name in columns if name not in self.partitions.columns] or self.files[0].columns[:1]
        size = rows or max(1024, PIECE_BYTES // self.files[0].row_bytes(own))
        for index, file in enumerate(self.files):
            for number, frame in enumerate(file.pieces(own, size)):
                location = f"in {file.name}, counting from its row {number * size:,}"
                yield self._extended(frame, index).select(columns), location

    def _extended(self, frame: polars.DataFrame, index: int) -> polars.DataFrame:
        return frame.with_columns(
            polars.lit(column[index], column.dtype).alias(column.name) for column in self.partitions.iter_columns()
        )


def _is_of_spark(file: Path) -> bool:
    """Returns True for Spark's own files, such as Delta's, and for those in its folders."""
    return any(part.startswith("_") and "=" not in part for part in file.parts)


def _partitions(paths: Sequence[Path], root: Path) -> polars.DataFrame:
    """Returns the columns that folders name, a row for each file."""
    each = [
        {name: unquote(value) for name, equals, value in (part.partition("=") for part in parts) if name and equals}
        for parts in (path.relative_to(root).parts[:-1] for path in paths)
    ]
    for path, values in zip(paths, each, strict=True):
        if values.keys() != each[0].keys():
            raise DataError(f"{path} is not in folders of the same columns as {paths[0]}; move it, or write it alike")
    return polars.DataFrame({name: [values[name] for values in each] for name in each[0]})
