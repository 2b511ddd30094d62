"""Reader of one Parquet file: whole, or a piece at a time in bounded memory."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.tables.casting import normalize_cells

WIDTHS = {polars.Int8: 1, polars.UInt8: 1, polars.Boolean: 1, polars.Float32: 4, polars.Int32: 4}
"""Bytes of a value; 8 of other types."""

MAGIC = b"PAR1"  # first bytes of a Parquet file
SCAN_BYTES = 16 << 20
"""About so many bytes are read by one scan. With 8 MiB, 154 MiB of 64 float32 columns take 0.64 s of a processor, with
16 MiB 0.40 s, with 32 MiB 0.29 s; polars' ``collect_batches`` takes 0.25 s, but 182 MiB of memory instead of 50."""

COLUMN_GROUPS = 16
"""A whole file is read in about so many groups of columns: polars takes as much memory again as it reads at once."""


class ParquetFile:
    """A Parquet file, given by its path or content; raises ``DataError`` for one that cannot be read."""

    def __init__(self, source: Path | bytes, name: str, missing: Sequence[str]) -> None:
        self.source, self.name, self.missing = source, name, list(missing)
        with reading(name, "Parquet"):
            self.schema = self._scan().collect_schema()
        self.columns = self.schema.names()

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        with reading(self.name, "Parquet"):
            return int(self._scan().select(polars.len()).collect().item())

    def frame(self) -> polars.DataFrame:
        """Returns all rows, null where missing; raises ``DataError`` for a damaged file."""
        size = max(1, len(self.columns) // COLUMN_GROUPS)

        def read(columns: list[str]) -> polars.DataFrame:
            frame = polars.read_parquet(self._open(), columns=columns, glob=False, hive_partitioning=False)
            return normalize_cells(frame, self.missing)

        with reading(self.name, "Parquet"):
            frames = [read(self.columns[start : start + size]) for start in range(0, len(self.columns), size)]
        return polars.concat(frames, how="horizontal") if frames else polars.DataFrame()

    def pieces(self, columns: Sequence[str], rows: int) -> Iterator[polars.DataFrame]:
        """Yields some columns of all rows in order, ``rows`` at a time; raises ``DataError`` for a damaged file."""
        scanned = max(1, SCAN_BYTES // self.row_bytes(columns) // rows) * rows
        for start in range(0, self.rows, scanned):
            with reading(self.name, "Parquet"):
                frame = self._scan().select(columns).slice(start, scanned).collect(engine="streaming")
            frame = normalize_cells(frame, self.missing)
            for first in range(0, len(frame), rows):
                yield frame[first : first + rows]

    def row_bytes(self, columns: Sequence[str]) -> int:
        """Returns about how many bytes some columns of a row take."""
        return max(1, sum(WIDTHS.get(type(self.schema[name]), 8) for name in columns))

    def _open(self) -> Path | io.BytesIO:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source

    def _scan(self) -> polars.LazyFrame:
        return polars.scan_parquet(self._open(), glob=False, cache=False, low_memory=True)


@contextmanager
def reading(name: str, kind: str) -> Iterator[None]:
    """Raises ``DataError`` in place of what polars and the system raise for a file that is no ``kind``."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}; correct the path") from error
    except (PolarsError, PanicException, OverflowError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(f"{name} cannot be read as {kind}: {reason}") from error
