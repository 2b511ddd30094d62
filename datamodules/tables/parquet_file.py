"""Reader of one Parquet file: whole, or a piece at a time in bounded memory."""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.tables.casting import normalize_cells

WIDTHS = {polars.Int8: 1, polars.UInt8: 1, polars.Boolean: 1, polars.Float32: 4, polars.Int32: 4}
"""Bytes of a value; 8 of other types."""

MAGIC = b"PAR1"
"""First bytes of a Parquet file."""

SCAN_BYTES = 16 << 20
"""About so many bytes are read by one scan. With 8 MiB, 154 MiB of 64 float32 columns take 0.64 s of a processor, with
16 MiB 0.40 s, with 32 MiB 0.29 s; polars' ``collect_batches`` takes 0.25 s, but 182 MiB of memory instead of 50."""

COLUMN_GROUPS = 16
"""A whole file is read in about so many groups of columns: polars takes as much memory again as it reads at once."""

T = TypeVar("T")


class ParquetFile:
    """A Parquet file.

    Args:
        source: Path of the file, or its content.
        name: Name of the file in messages.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that cannot be read as Parquet.
    """

    def __init__(self, source: Path | bytes, name: str, missing: Sequence[str]) -> None:
        self.source, self.name, self.missing = source, name, list(missing)
        self.schema: polars.Schema = self._reading(lambda: self._scan().collect_schema())
        self.columns = self.schema.names()

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return int(self._reading(lambda: self._scan().select(polars.len()).collect().item()))

    def frame(self) -> polars.DataFrame:
        """Returns all rows; missing values are null.

        Raises:
            DataError: For a damaged file.
        """
        size = max(1, len(self.columns) // COLUMN_GROUPS)
        groups = [self.columns[start : start + size] for start in range(0, len(self.columns), size)]
        frames = [normalize_cells(self._reading(partial(self._read, group)), self.missing) for group in groups]
        return polars.concat(frames, how="horizontal") if frames else polars.DataFrame()

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[polars.DataFrame]:
        """Yields all rows in order, ``rows`` at a time, some columns of them; missing values are null.

        Raises:
            DataError: For a damaged file.
        """
        scanned = max(1, SCAN_BYTES // self.row_bytes(columns) // rows) * rows
        for start in range(0, self.rows, scanned):
            frame = normalize_cells(self._reading(partial(self._slice, columns, start, scanned)), self.missing)
            for first in range(0, len(frame), rows):
                yield frame[first : first + rows]

    def row_bytes(self, columns: Sequence[str]) -> int:
        """Returns about how many bytes some columns of a row take."""
        return max(1, sum(WIDTHS.get(type(self.schema[name]), 8) for name in columns))

    def _open(self) -> Path | io.BytesIO:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source

    def _scan(self) -> polars.LazyFrame:
        return polars.scan_parquet(self._open(), glob=False, cache=False, low_memory=True)

    def _read(self, columns: list[str]) -> polars.DataFrame:
        return polars.read_parquet(self._open(), columns=columns, glob=False, hive_partitioning=False)

    def _slice(self, columns: Sequence[str], start: int, rows: int) -> polars.DataFrame:
        return self._scan().select(columns).slice(start, rows).collect(engine="streaming")

    def _reading(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror or error}") from error
        except (PolarsError, PanicException, OverflowError) as error:
            raise DataError(f"{self.name} cannot be read as Parquet: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message without the full stop, or the name of its class."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
