"""Parquet files of one table, read a piece at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from datamodules.tables.read_table import without_missing

PIECE_BYTES = 8 << 20
"""About so many bytes of a file are taken at a time."""


class Piece(NamedTuple):
    """Some rows of a file.

    Args:
        frame: The rows.
        where: How a message about them begins: the file, and the number of the first row.
    """

    frame: polars.DataFrame
    where: str


class ParquetFiles:
    """The Parquet files of a table, whose columns are alike, one after another.

    Args:
        path: A Parquet file, or a folder; the files in it and below it, ordered by name.
        setting: The flag that named it, for messages.

    Raises:
        DataError: Where there is none, one cannot be read, or their columns differ.
    """

    def __init__(self, path: str, setting: str = "path") -> None:
        self.path = path
        self.paths = sorted(Path(path).rglob("*.parquet")) if Path(path).is_dir() else [Path(path)]
        if not self.paths:
            raise DataError(f"--data.{setting} {path} has no .parquet file in it")
        self.schemas = [polars.Schema(_reading(one, polars.read_parquet_schema)) for one in self.paths]
        self.rows = [int(_reading(one, _count)) for one in self.paths]
        self.schema = self.schemas[0]
        self.check_like(self.schema, str(self.paths[0]))
        if not sum(self.rows):
            raise DataError(f"{path} has no rows")

    def check_like(self, schema: polars.Schema, name: str) -> None:
        """Raise ``DataError`` for a file whose columns are not those of a schema, which messages call ``name``."""
        for path, own in zip(self.paths, self.schemas, strict=True):
            for column, kind in schema.items():
                if column not in own:
                    raise DataError(f"{path} lacks the column {column}, which {name} has")
                if own[column] != kind:
                    raise DataError(
                        f"column {column} holds {own[column]} in {path} and {kind} in {name}; write it alike"
                    )

    def pieces(self, columns: Sequence[str], missing: Sequence[str]) -> Iterator[Piece]:
        """Some columns of all rows in order, missing values as null."""
        wide = sum(_width(self.schema[name]) for name in columns)
        step = max(1024, PIECE_BYTES // max(1, wide))
        for path, rows in zip(self.paths, self.rows, strict=True):
            for start in range(0, rows, step):
                frame = _reading(path, partial(_slice, columns=columns, start=start, rows=step))
                yield Piece(without_missing(frame, missing), f"in {path}, counting from its row {start:,}")


def _scan(path: Path) -> polars.LazyFrame:
    return polars.scan_parquet(path, glob=False, cache=False, low_memory=True)


def _count(path: Path) -> int:
    return int(_scan(path).select(polars.len()).collect().item())


def _slice(path: Path, columns: Sequence[str], start: int, rows: int) -> polars.DataFrame:
    return _scan(path).select(columns).slice(start, rows).collect(engine="streaming")


def _width(kind: polars.DataType) -> int:
    """About how many bytes a value takes."""
    return {polars.Int8: 1, polars.UInt8: 1, polars.Boolean: 1, polars.Float32: 4, polars.Int32: 4}.get(type(kind), 8)


def _reading(path: Path, read: Callable[[Path], Any]) -> Any:
    check_regular(path)
    try:
        return read(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (PolarsError, PanicException) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"{path} cannot be read as Parquet: {reason}") from error
