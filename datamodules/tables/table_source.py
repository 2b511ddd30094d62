"""Tables that may be larger than memory, a piece at a time, with what is wrong with a row instead of an error."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece
from datamodules.regular_file import check_regular
from datamodules.tables.csv_file import CsvFile
from datamodules.tables.read_table import without_missing

CELLS = 2**20
"""Cells of a Parquet file or of a frame that are taken at a time."""


class Table:
    """A frame, or a CSV or Parquet file that is read as far as it is asked for.

    Args:
        source: The frame, or the path of a file.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that is not there, or no table.
    """

    def __init__(self, source: polars.DataFrame | str | Path, missing: Sequence[str]) -> None:
        self.source, self.missing = source, list(missing)
        self.name = "the frame" if isinstance(source, polars.DataFrame) else str(source)
        if isinstance(source, polars.DataFrame):
            self.columns = source.columns
            return
        check_regular(source)
        try:
            with open(source, "rb") as file:
                is_parquet = file.read(4) == b"PAR1"
            self._csv = None if is_parquet else CsvFile(self.name, missing)
            self.columns = self._csv.columns if self._csv else list(polars.read_parquet_schema(source))
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror or error}; correct the path") from error
        except (PolarsError, PanicException, OverflowError) as error:
            raise self._unreadable(error) from error

    def check(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """A note on the columns that nobody wants.

        Raises:
            DataError: With the wanted columns that are not there.
        """
        lacking = [name for name in wanted if name not in self.columns]
        if lacking:
            what = "column" if len(lacking) == 1 else "columns"
            names = ", ".join(lacking[:10]) + " ..." * (len(lacking) > 10)
            raise DataError(f"{self.name} lacks the {what} {names}, which the model was trained with")
        extra = [name for name in self.columns if name not in set(wanted)]
        some = ", ".join(extra[:10]) + " ..." * (len(extra) > 10)
        return (f"columns that the model does not use, ignored: {some}",) if extra else ()

    def pieces(self, wanted: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Piece]:
        """The rows, some columns of them; of CSV as text, but for those that are to be numbers and are.

        Args:
            wanted: The columns.
            numbers: Those among them that are float64 wherever all values of a piece are numbers.

        Raises:
            DataError: Where the file turns out to be no table.
        """
        try:
            if isinstance(self.source, polars.DataFrame):
                size = _rows(wanted)
                for first in range(0, len(self.source), size):
                    rows = self.source[first : first + size].select(wanted)
                    yield Piece(first, without_missing(rows, self.missing), {}, (first + len(rows)) / len(self.source))
            elif self._csv is not None:
                yield from self._csv.pieces(wanted, numbers)
            else:
                yield from self._read_parquet(wanted)
        except (PolarsError, PanicException, OverflowError) as error:
            raise self._unreadable(error) from error
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error.strerror or error}") from error

    def _read_parquet(self, wanted: Sequence[str]) -> Iterator[Piece]:
        rows = polars.scan_parquet(self.source)  # type: ignore[arg-type]
        total, first = rows.select(polars.len()).collect().item(), 0
        size = _rows(wanted)
        for frame in rows.select(wanted).collect_batches(chunk_size=size, maintain_order=True):
            for start in range(0, len(frame), size):
                piece = without_missing(frame[start : start + size], self.missing)
                yield Piece(first, piece, {}, (first + len(piece)) / total)
                first += len(piece)

    def _unreadable(self, error: BaseException) -> DataError:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        return DataError(f"{self.name} cannot be read as a table: {reason}")


def _rows(columns: Sequence[str]) -> int:
    """How many rows of so many columns are taken at a time."""
    return max(1, CELLS // max(1, len(columns)))
