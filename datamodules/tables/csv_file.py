"""Reader of one CSV file: whole with column types, or a block at a time as text, where a bad row spoils no other."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece, Reasons
from datamodules.tables.casting import without_missing, without_spaces
from datamodules.tables.parquet_file import first_line

BLOCK = 2**23
"""Bytes that are read at a time."""

LONGEST = 2**28
"""Bytes of a row at most; a longer one has a quote that never ends."""

SEPARATORS = ",;\t|"

SURROGATE = re.compile("[\ud800-\udfff]")
"""A byte that is no UTF-8, as Python decodes it."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CsvFile:
    """A file in UTF-8 with a header and one of the separators ``,`` ``;`` tab ``|``.

    Args:
        source: Path of the file, or its content.
        name: Name of the file in messages.
        missing: Texts that stand for a missing value.

    Raises:
        DataError: For a file that is empty, or is no such text.
        OSError: For a file that cannot be read.
    """

    def __init__(self, source: Path | bytes, name: str, missing: Sequence[str]) -> None:
        self.source, self.name, self.missing = source, name, list(missing)
        self._start, self.columns = self._read_header()

    def frame(self) -> polars.DataFrame:
        """Returns all rows, with the types that all values of a column have; missing values are null.

        Raises:
            DataError: For a file with a row of too few or too many fields, or that is no UTF-8 text.
        """
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise DataError(
                f"{self.name} is not UTF-8 text, line {line} is not; save it as UTF-8 or as Parquet"
            ) from error
        if b"\0" in content:
            raise self._no_text()
        content = content.removeprefix(BYTE_ORDER_MARK).lstrip()
        regular = self._count_regular(content) is not None
        if not regular:
            self._check_fields(content)
        try:
            frame = polars.read_csv(
                io.BytesIO(content),
                separator=self._separator,
                infer_schema_length=None,  # the type of a column is that of all its values
                try_parse_dates=True,
                null_values=self.missing,
            )
        except (PolarsError, PanicException, OverflowError) as error:
            if regular:  # one row too short, one too long
                self._check_fields(content)
            raise DataError(f"{self.name} cannot be read as CSV: {first_line(error)}") from error
        if len(frame.columns) != len(self.columns):
            raise DataError(
                f"{self.name} has {len(self.columns)} names and {len(frame.columns)} columns; "
                "quote fields that contain a separator"
            )
        frame = frame.rename(dict(zip(frame.columns, self.columns, strict=True)))
        return without_missing(without_spaces(frame), self.missing)

    def pieces(self, columns: Sequence[str], numbers: Sequence[str]) -> Iterator[Piece]:
        """Yields the rows, some columns of them as text; of ``numbers``, float64 where a whole piece has numbers.

        Raises:
            DataError: For a quote that never ends.
        """
        content = self.source
        size = max(1, len(content) if isinstance(content, bytes) else content.stat().st_size)
        first = 0
        for block, position in self._blocks():
            frame, reasons = self._parse_regular(block, columns, numbers), Reasons()
            if frame is None:
                frame, reasons = self._parse_each(block, columns)
            stripped = frame.with_columns(polars.selectors.string().str.strip_chars())
            yield Piece(first, without_missing(stripped, self.missing), reasons, position / size)
            first += len(frame)

    def _open(self) -> BinaryIO:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else open(self.source, "rb")

    def _read_header(self) -> tuple[int, list[str]]:
        """Returns the position of the first row and the names of the columns; sets the separator."""
        line = b""
        with self._open() as file:
            while not line.removeprefix(BYTE_ORDER_MARK).strip():
                line = file.readline(LONGEST)
                if not line:
                    raise DataError(f"{self.name} is empty")
            while line.count(b'"') % 2 and (more := file.readline(LONGEST)):
                line += more
            start = file.tell()
        try:
            text = line.decode("utf-8-sig").lstrip().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise self._no_text() from error
        if "\0" in text:
            raise self._no_text()
        self._separator = max(SEPARATORS, key=text.count)
        columns = [name.strip() for name in next(self._rows(text))[1]]
        repeated = [name for name, count in Counter(columns).items() if count > 1]
        if repeated:
            raise DataError(f"{self.name} has two columns of the name {repeated[0]!r}; rename one")
        return start, columns

    def _no_text(self) -> DataError:
        return DataError(f"{self.name} is neither Parquet nor UTF-8 text; save it as one of them")

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yields blocks of whole rows, and the position in the file behind each."""
        with self._open() as file:
            file.seek(self._start)
            rest, size = b"", BLOCK
            while more := file.read(size):
                rest += more
                cut = _last_row(rest)
                if cut:
                    yield rest[:cut], file.tell() - len(rest) + cut
                    rest, size = rest[cut:], BLOCK
                elif len(rest) > LONGEST:
                    raise DataError(
                        f"{self.name} has a quote that never ends, in the {LONGEST:,} bytes behind row after row; "
                        "correct it"
                    )
                else:
                    size = len(rest)
            if rest.strip(b"\r\n"):
                yield rest, file.tell()

    def _count_regular(self, block: bytes) -> int | None:
        """Returns the number of rows by counting separators; None if a row may have too few or too many fields."""
        bare = re.sub(rb'"[^"]*"', b"", block) if b'"' in block else block
        rows = bare.count(b"\n") + (not bare.endswith(b"\n"))
        if b'"' in bare or b"\0" in bare or bare.count(b"\r") != bare.count(b"\r\n"):
            return None
        return rows if bare.count(self._separator.encode()) == rows * (len(self.columns) - 1) else None

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Yields line number and fields of each row, several times as slow as polars."""
        limit = csv.field_size_limit(LONGEST)  # Python's own is 131,072 characters, and a text may be longer
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._separator)
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{self.name} cannot be read as CSV: {error}") from error
        finally:
            csv.field_size_limit(limit)

    def _check_fields(self, content: bytes) -> None:
        """Raises ``DataError`` for too few fields, which polars fills with nulls, or too many, with the line."""
        for line, row in self._rows(content.decode()):
            if row and len(row) != len(self.columns):
                raise DataError(
                    f"{self.name} is ragged: line {line} has {len(row)} fields and the header {len(self.columns)}"
                )

    def _parse_regular(self, block: bytes, columns: Sequence[str], numbers: Sequence[str]) -> polars.DataFrame | None:
        """Returns a block as polars parses it; None where a row may have too few or too many fields, or is no text."""
        rows = self._count_regular(block)
        if rows is None:
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
                frame = scan.select(columns).collect()
            except (PolarsError, PanicException):
                continue
            return frame if len(frame) == rows else None
        return None

    def _parse_each(self, block: bytes, columns: Sequence[str]) -> tuple[polars.DataFrame, Reasons]:
        """Returns a block parsed row by row, and why rows are bad, by their positions."""
        reasons: Reasons = {}
        values: dict[str, list[str | None]] = {name: [] for name in columns}
        indices = [self.columns.index(name) for name in columns]
        for position, (_, row) in enumerate(self._rows(block.decode("utf-8", errors="surrogateescape"))):
            if row and len(row) != len(self.columns):
                reasons[position] = f"{len(row)} fields, and there are {len(self.columns)} columns"
            elif SURROGATE.search("".join(row)):
                reasons[position] = "not UTF-8 text"
            good = row and position not in reasons
            for column, index in zip(values.values(), indices, strict=True):
                column.append(row[index] if good else None)
        return polars.DataFrame(values, schema=dict.fromkeys(columns, polars.String)), reasons


def _last_row(text: bytes) -> int:
    """Returns the position behind the last line end outside of quotes; 0 if there is none."""
    cut = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, cut)
    while cut and quotes % 2:
        before = text.rfind(b"\n", 0, cut - 1) + 1
        quotes -= text.count(b'"', before, cut)
        cut = before
    return cut
