"""A CSV file that may be larger than memory, block by block; a row that is none is bad, and the others are read."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece, Reasons
from datamodules.regular_file import check_regular
from datamodules.tables.read_table import SEPARATORS, repeated, without_missing

BLOCK = 2**23
"""Bytes that are read at a time."""

LONGEST = 2**28
"""Bytes of a row at most; what is longer has a quote that never ends."""


class CsvFile:
    """A file in UTF-8 with a header and one of the separators ``,`` ``;`` tab ``|``.

    Args:
        path: Of the file.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that is empty, or no such text.
        OSError: For one that cannot be read.
    """

    def __init__(self, path: str, missing: Sequence[str]) -> None:
        self.path, self.missing = path, list(missing)
        self.columns = self._read_header()

    def _read_header(self) -> list[str]:
        check_regular(self.path)
        start, line = 0, b""
        with open(self.path, "rb") as file:
            while not line.strip(b"\xef\xbb\xbf \t\r\n"):
                line = file.readline(LONGEST)
                if not line:
                    raise DataError(f"{self.path} is empty")
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
            raise DataError(f"{self.path} is neither Parquet nor UTF-8 text; save it as one of them") from error
        self._start = start
        again = repeated(columns)
        if again is not None:
            raise DataError(f"{self.path} has two columns of the name {again!r}; rename one")
        return columns

    def pieces(self, wanted: Sequence[str], numbers: Sequence[str]) -> Iterator[Piece]:
        """The rows, some columns of them as text, or float64 where they are to be numbers and are, in a whole piece."""
        size, first = max(1, Path(self.path).stat().st_size), 0
        for block, at in self._blocks():
            frame = self._fast(block, wanted, numbers)
            reasons: Reasons = {}
            if frame is None:
                frame, reasons = self._row_by_row(block, wanted)
            yield Piece(first, without_missing(_stripped(frame), self.missing), reasons, at / size)
            first += len(frame)

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole rows, many at a time, and the place in the file behind them."""
        with open(self.path, "rb") as file:
            file.seek(self._start)
            rest, size = b"", BLOCK
            while more := file.read(size):
                rest += more
                cut = _last_row(rest)
                if cut:
                    yield rest[:cut], file.tell() - len(rest) + cut
                    rest, size = rest[cut:], BLOCK
                elif len(rest) > LONGEST:
                    raise DataError(f"{self.path} has a quote that never ends, in the {LONGEST:,} bytes behind row "
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
            raise DataError(f"{self.path} cannot be read as CSV: {error}") from error
        finally:
            csv.field_size_limit(limit)
        return polars.DataFrame(columns, schema=dict.fromkeys(wanted, polars.String)), reasons


def _stripped(frame: polars.DataFrame) -> polars.DataFrame:
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
