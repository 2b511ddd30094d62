"""Tables that may be larger than memory, a piece at a time, with what is wrong with a row instead of an error."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.inputs import Reasons
from datamodules.tables.frames import SEPARATORS, repeated, without_missing

BLOCK = 2**23
"""Bytes of a CSV file that are read at a time."""

LONGEST = 2**28
"""Bytes of a row of CSV at most; what is longer has a quote that never ends."""

CELLS = 2**20
"""Cells of a Parquet file or of a frame that are taken at a time."""


@dataclass
class Piece:
    """Rows that follow each other.

    Args:
        first: Number of the first row.
        frame: The wanted columns; those of bad rows are null.
        reasons: Why rows cannot be read, by their places in the frame.
        done: Share of the source that has been read.
    """

    first: int
    frame: polars.DataFrame
    reasons: Reasons = field(default_factory=dict)
    done: float = 1.0


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
        try:
            with open(source, "rb") as file:
                self._parquet = file.read(4) == b"PAR1"
            self.columns = list(polars.read_parquet_schema(source)) if self._parquet else self._read_header()
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
            elif self._parquet:
                yield from self._read_parquet(wanted)
            else:
                yield from self._read_csv(wanted, numbers)
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

    def _read_header(self) -> list[str]:
        start, line = 0, b""
        with open(str(self.source), "rb") as file:
            while not line.strip(b"\xef\xbb\xbf \t\r\n"):
                line = file.readline(LONGEST)
                if not line:
                    raise DataError(f"{self.name} is empty")
            while line.count(b'"') % 2 and (more := file.readline(LONGEST)):
                line += more
            start = file.tell()
        try:
            text = line.decode("utf-8-sig").strip()
            if "\0" in text:
                raise ValueError("it has bytes of 0")
            self._separator = max(SEPARATORS, key=text.count)
            fields = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._separator))
            columns = [name.strip() for name in fields]
        except (ValueError, csv.Error) as error:
            raise DataError(f"{self.name} is neither Parquet nor UTF-8 text; save it as one of them") from error
        self._start = start
        again = repeated(columns)
        if again is not None:
            raise DataError(f"{self.name} has two columns of the name {again!r}; rename one")
        return columns

    def _read_csv(self, wanted: Sequence[str], numbers: Sequence[str]) -> Iterator[Piece]:
        size, first = max(1, Path(str(self.source)).stat().st_size), 0
        for block, at in self._blocks():
            frame = self._fast(block, wanted, numbers)
            reasons: Reasons = {}
            if frame is None:
                frame, reasons = self._row_by_row(block, wanted)
            yield Piece(first, without_missing(stripped(frame), self.missing), reasons, at / size)
            first += len(frame)

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole rows, many at a time, and the place in the file behind them."""
        with open(str(self.source), "rb") as file:
            file.seek(self._start)
            rest, size = b"", BLOCK
            while more := file.read(size):
                rest += more
                cut = _last_row(rest)
                if cut:
                    yield rest[:cut], file.tell() - len(rest) + cut
                    rest, size = rest[cut:], BLOCK
                elif len(rest) > LONGEST:
                    raise DataError(f"{self.name} has a quote that never ends, in the {LONGEST:,} bytes behind row "
                                    "after row; correct it")  # fmt: skip
                else:
                    size = len(rest)
            if rest.strip(b"\r\n"):
                yield rest, file.tell()

    def _fast(self, block: bytes, wanted: Sequence[str], numbers: Sequence[str]) -> polars.DataFrame | None:
        """What polars makes of a block; None where a row may have too few or too many fields, or is no text."""
        bare = re.sub(rb'"[^"]*"', b"", block) if b'"' in block else block
        rows = bare.count(b"\n") + (not bare.endswith(b"\n"))
        if b'"' in bare or bare.count(self._separator.encode()) != rows * (len(self.columns) - 1) or b"\0" in bare:
            return None
        text: dict[str, polars.DataType] = {name: polars.String() for name in self.columns}
        typed = {**text, **{name: polars.Float64() for name in numbers}}
        for schema in (typed, text) if numbers else (text,):
            try:
                scan = polars.scan_csv(
                    io.BytesIO(block),
                    has_header=False,
                    schema=schema,
                    separator=self._separator,
                    null_values=self.missing,
                )
                frame = scan.select(wanted).collect()
            except (PolarsError, PanicException):
                continue
            return frame if len(frame) == rows else None
        return None

    def _row_by_row(self, block: bytes, wanted: Sequence[str]) -> tuple[polars.DataFrame, Reasons]:
        """The same with every row looked at, which takes several times as long."""
        limit = csv.field_size_limit(LONGEST)  # Python's own is 131,072 characters, and a text may be longer
        reasons: Reasons = {}
        columns: dict[str, list[str | None]] = {name: [] for name in wanted}
        places = [self.columns.index(name) for name in wanted]
        try:
            text = block.decode("utf-8", errors="surrogateescape")
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._separator)
            for place, row in enumerate(rows):
                if row and len(row) != len(self.columns):
                    reasons[place] = f"{len(row)} fields, and there are {len(self.columns)} columns"
                elif any(not field.isascii() and not _is_text(field) for field in row):
                    reasons[place] = "not UTF-8 text"
                whole = row if row and place not in reasons else None
                for values, where in zip(columns.values(), places, strict=True):
                    values.append(None if whole is None else whole[where])
        except csv.Error as error:
            raise DataError(f"{self.name} cannot be read as CSV: {error}") from error
        finally:
            csv.field_size_limit(limit)
        return polars.DataFrame(columns, schema=dict.fromkeys(wanted, polars.String)), reasons

    def _unreadable(self, error: BaseException) -> DataError:
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        return DataError(f"{self.name} cannot be read as a table: {reason}")


def _rows(columns: Sequence[str]) -> int:
    """How many rows of so many columns are taken at a time."""
    return max(1, CELLS // max(1, len(columns)))


def stripped(frame: polars.DataFrame) -> polars.DataFrame:
    """Spaces around texts taken off."""
    return frame.with_columns(polars.selectors.string().str.strip_chars())


def _last_row(text: bytes) -> int:
    """Where the last whole row of a text ends: behind a line's end outside of quotes; 0 where there is none."""
    cut = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, cut)
    while cut and quotes % 2:
        before = text.rfind(b"\n", 0, cut - 1) + 1
        quotes -= text.count(b'"', before, cut)
        cut = before
    return cut


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
