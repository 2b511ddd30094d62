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
from datamodules.tables.casting import normalize_cells
from datamodules.tables.cell_types import inferred_types

BLOCK = 2**23
"""Bytes that are read at a time."""

LONGEST = 2**28
"""Bytes of a row at most; a longer one has a quote that never ends."""

SEPARATORS = ",;\t|"

SURROGATE = re.compile("[\0\ud800-\udfff]")
"""A byte that is no UTF-8, as Python decodes it, or no text."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

PACKED = b"\x1f\x8b"
"""First bytes of a file of gzip."""

Schema = dict[str, polars.DataType]


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
        self.columns: list[str] = []
        self._start, self.columns = self._read_header()

    def frame(self) -> polars.DataFrame:
        """Returns all rows, with the types that all values of a column have; missing values are null.

        Raises:
            DataError: For a row of too few or too many fields, text behind a closing quote, or no UTF-8 text.
        """
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        block = content[self._start :].strip(b"\r\n")
        text = self._schema()
        # Polars' inference loses leading zeros.
        schemas = [text] if self._leading_zero.search(block) else [None, text]
        frame = self._parse_regular(block, self.columns, schemas)
        if frame is None:
            lines_before = content.count(b"\n", 0, content.index(block, self._start))
            frame, _ = self._parse_each(block, self.columns, lines_before)
        return inferred_types(normalize_cells(frame, self.missing))

    def pieces(self, columns: Sequence[str], numbers: Sequence[str]) -> Iterator[Piece]:
        """Yields the rows, some columns of them as text; of ``numbers``, float64 where a whole piece has numbers.

        Raises:
            DataError: For a quote that never ends.
        """
        content = self.source
        size = max(1, len(content) if isinstance(content, bytes) else content.stat().st_size)
        first, schemas = 0, [self._schema(numbers), self._schema()] if numbers else [self._schema()]
        for rows, position in self._blocks():
            block = rows.strip(b"\r\n")
            frame, reasons = self._parse_regular(block, columns, schemas), Reasons()
            if frame is None:
                frame, reasons = self._parse_each(block, columns)
            yield Piece(first, normalize_cells(frame, self.missing), reasons, position / size)
            first += len(frame)

    def _open(self) -> BinaryIO:
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else open(self.source, "rb")

    def _read_header(self) -> tuple[int, list[str]]:
        """Returns the position of the first row and the names of the columns; sets the separator."""
        header, start, separators = b"", 0, SEPARATORS
        with self._open() as file:
            while not header.strip():
                start, line = file.tell(), file.readline(LONGEST)
                header = line.removeprefix(BYTE_ORDER_MARK)
                if header.startswith(PACKED):
                    raise DataError(f"{self.name} is packed by gzip; unpack it with gunzip")
                if not line:
                    raise DataError(f"{self.name} is empty")
            start += len(line) - len(header)
            if excel := re.match(rb"sep=([,;\t|])(\r\n?|\n)", header):
                separators, start = excel[1].decode(), start + len(excel[0])
                header = header[len(excel[0]) :] or file.readline(LONGEST)
            while header.count(b'"') % 2 and (more := file.readline(LONGEST)):
                header += more
        try:
            text = header.decode()
        except UnicodeDecodeError as error:
            raise self._no_text() from error
        if "\0" in text:
            raise self._no_text()
        self._separator = max(separators, key=re.sub('"[^"]*"', "", text).count)
        separator = re.escape(self._separator).encode()
        self._quoted = re.compile(rb'(?<![^\r\n%b])"(?>[^"]*(?:""[^"]*)*)"(?![^\r\n%b])' % (separator, separator))
        self._leading_zero = re.compile(rb'(?<![^\r\n%b]) *"? *[+-]?0[0-9]' % separator)
        line_number, names, reason = next(self._rows(text), (1, [""], ""))
        if reason:
            raise DataError(f"{self.name} cannot be read as CSV: its header has {reason}")
        columns = [name.strip() for name in names]
        repeated = [name for name, count in Counter(columns).items() if count > 1]
        if repeated:
            raise DataError(f"{self.name} has two columns of the name {repeated[0]!r}; rename one")
        lines = io.StringIO(text, newline="").readlines()[:line_number]
        return start + len("".join(lines).encode()), columns

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
        """Returns the number of rows by counting separators; None if a row may be blank, too short or too long."""
        bare = self._quoted.sub(b"", block) if b'"' in block else block
        rows = bare.count(b"\n") + 1
        blank = b"\n\n" in block or b"\n\r\n" in block  # a line that polars reads as a row
        if blank or b'"' in bare or b"\0" in block or bare.count(b"\r") != bare.count(b"\r\n"):
            return None
        return rows if bare.count(self._separator.encode()) == rows * (len(self.columns) - 1) else None

    def _rows(self, text: str) -> Iterator[tuple[int, list[str], str]]:
        """Yields line number, fields and why they cannot be used of each row that is not blank, slower than polars."""
        limit = csv.field_size_limit(LONGEST)  # Python's own is 131,072 characters, and a text may be longer
        lines = io.StringIO(text, newline="")
        reader = csv.reader(lines, delimiter=self._separator, strict=True, skipinitialspace=True)
        try:
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:  # the reader continues with the next line
                    quoted = "text behind a closing quote; write a quote inside of a field twice"
                    yield reader.line_num, [], "a quote that never ends" if "end of data" in str(error) else quoted
                    continue
                if row and (len(self.columns) == 1 or len(row) > 1 or row[0].strip()):
                    yield reader.line_num, row, ""
        finally:
            csv.field_size_limit(limit)

    def _schema(self, numbers: Sequence[str] = ()) -> Schema:
        """Returns data types: float64 of ``numbers``, text of other columns."""
        return {name: polars.Float64() if name in numbers else polars.String() for name in self.columns}

    def _parse_regular(
        self, block: bytes, columns: Sequence[str], schemas: Sequence[Schema | None]
    ) -> polars.DataFrame | None:
        """Parses a block with polars and the first of the schemas that fits; None infers the types of all values.

        Returns:
            None where a row may be blank, too short or too long, or is no text.
        """
        rows = self._count_regular(block)
        for schema in schemas if rows and block else ():
            try:
                scan = polars.scan_csv(
                    io.BytesIO(block),
                    has_header=False,
                    schema=schema,
                    new_columns=self.columns if schema is None else None,
                    separator=self._separator,
                    null_values=self.missing,
                    infer_schema_length=None,  # the type of a column is that of all its values
                    try_parse_dates=schema is None,
                )
                frame = scan.select(columns).collect()
            except (PolarsError, PanicException, OverflowError):
                continue
            return frame if len(frame) == rows else None
        return None

    def _parse_each(
        self, block: bytes, columns: Sequence[str], lines_before: int | None = None
    ) -> tuple[polars.DataFrame, Reasons]:
        """Returns a block parsed row by row, and why rows are bad, by their positions.

        Raises:
            DataError: For the first bad row, with its line, if ``lines_before`` are counted before the block.
        """
        reasons: Reasons = {}
        values: dict[str, list[str | None]] = {name: [] for name in columns}
        indices = [self.columns.index(name) for name in columns]
        text = block.decode("utf-8", errors="surrogateescape")
        for position, (line, row, reason) in enumerate(self._rows(text)):
            if SURROGATE.search("".join(row)):
                reason = "bytes that are not UTF-8 text; save it as UTF-8"
            elif not reason and len(row) != len(self.columns):
                reason = f"{len(row)} fields, and there are {len(self.columns)} columns"
            if reason and lines_before is not None:
                raise DataError(f"{self.name} is ragged: line {lines_before + line} has {reason}")
            if reason:
                reasons[position] = reason
            for column, index in zip(values.values(), indices, strict=True):
                column.append(None if reason else row[index])
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
