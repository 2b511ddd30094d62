"""The reader of all tables: a frame, a CSV or Parquet file, or a folder of Parquet files, whole or piece by piece."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece
from datamodules.regular_file import check_regular
from datamodules.streaming.parquet_files import ParquetFiles
from datamodules.tables.casting import normalize_cells
from datamodules.tables.csv_file import CsvFile
from datamodules.tables.parquet_file import MAGIC, ParquetFile, first_line

CELLS = 2**20
"""Cells of a Parquet file or of a frame in a piece."""


class Table:
    """A frame, a CSV or Parquet file or a folder of Parquet files, of which only column names are read at first.

    Args:
        source: The frame, the path of a file, or the content of one.
        missing: Texts that stand for a missing value.
        name: Name of the table in messages; the path by default.

    Raises:
        DataError: For a file that does not exist, or is no table.
    """

    def __init__(
        self, source: polars.DataFrame | str | Path | bytes, missing: Sequence[str], name: str | None = None
    ) -> None:
        self.source, self.missing = source, list(missing)
        self.notes: list[str] = []
        if isinstance(source, polars.DataFrame):
            self.name, self.columns = name or "the frame", source.columns
            return
        self.name = name or str(source if isinstance(source, str | Path) else "the table")
        if not isinstance(source, bytes):
            check_regular(source)
        try:
            content = source if isinstance(source, bytes) else Path(source).absolute()
            self._file: ParquetFiles | ParquetFile | CsvFile
            if isinstance(content, Path) and content.is_dir():
                self._file = ParquetFiles(self.name, missing)
                self.notes += self._file.notes
            else:
                is_parquet = _first_bytes(content) == MAGIC
                self._file = (ParquetFile if is_parquet else CsvFile)(content, self.name, missing)
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror or error}; correct the path") from error
        self.columns = self._file.columns

    def frame(self) -> polars.DataFrame:
        """Returns all rows in order, with the types of a Parquet file or those of all values of a CSV file.

        Raises:
            DataError: For a table that is damaged or has no rows.
        """
        try:
            frame = self.source if isinstance(self.source, polars.DataFrame) else self._file.frame()
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror or error}") from error
        if not len(frame):
            raise DataError(f"{self.name} has no rows")
        return frame

    def check(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Returns a note on columns that are not used.

        Raises:
            DataError: With the used columns that are missing.
        """
        lacking = [name for name in wanted if name not in self.columns]
        if lacking:
            noun = "column" if len(lacking) == 1 else "columns"
            names = ", ".join(lacking[:10]) + " ..." * (len(lacking) > 10)
            raise DataError(f"{self.name} lacks the {noun} {names}, which the model was trained with")
        extra = [name for name in self.columns if name not in set(wanted)]
        names = ", ".join(extra[:10]) + " ..." * (len(extra) > 10)
        return (*self.notes, *([f"columns that the model does not use, ignored: {names}"] if extra else []))

    def pieces(self, wanted: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Piece]:
        """Yields the rows, some columns of them; those of CSV as text.

        Args:
            wanted: The columns.
            numbers: Columns of CSV that are float64 in every piece whose values are all numbers.

        Raises:
            DataError: For a damaged file.
        """
        size = max(1, CELLS // max(1, len(wanted)))
        try:
            if isinstance(self.source, polars.DataFrame):
                frame = self.source.select(wanted)
                some = (
                    normalize_cells(frame[first : first + size], self.missing) for first in range(0, len(frame), size)
                )
                yield from _numbered(some, len(frame))
            elif isinstance(self._file, CsvFile):
                yield from self._file.pieces(wanted, numbers)
            else:
                yield from _numbered(self._file.pieces(wanted, size), self._file.rows)
        except (PolarsError, PanicException, OverflowError) as error:
            raise DataError(f"{self.name} cannot be read as a table: {first_line(error)}") from error
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror or error}") from error


def _first_bytes(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[: len(MAGIC)]
    with open(content, "rb") as file:
        return file.read(len(MAGIC))


def _numbered(frames: Iterator[polars.DataFrame], rows: int) -> Iterator[Piece]:
    first = 0
    for frame in frames:
        yield Piece(first, frame, {}, (first + len(frame)) / rows)
        first += len(frame)
