"""Reader of one CSV file as text: whole, or a block at a time, where a bad row spoils no other."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import polars
from polars.exceptions import PanicException, PolarsError

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece, Reasons
from datamodules.tables.casting import normalize_cells

BLOCK = 2**23  # bytes that are read at a time
HEAD = 2**16  # bytes behind the header that say whether it has a name for each field
FEWEST = 10  # rows from which on a field more in each of them is the name of the row
LONGEST = 2**28  # bytes of a row at most; a longer one has a quote that never ends
SEPARATORS = ",;\t|"
SURROGATE = re.compile("[\0\ud800-\udfff]")  # a byte that is no UTF-8, as Python decodes it, or no text
LINE_END = re.compile(rb"\r\n?|\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
JSON = (b"[", b'{"', b'[{"', b"[{'")
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip, as a workbook is", b"BZh91AY&SY": "bzip2", b"\xfd7zXZ": "xz"}


class CsvFile:
    """A file in UTF-8 with a header and one of the separators ``,`` ``;`` tab ``|``, given by its path or content.

    Raises ``DataError`` for a file that is empty or no such text.
    """

    def __init__(self, source: Path | bytes, name: str, missing: Sequence[str]) -> None:
        self.source, self.name, self.missing = source, name, list(missing)
        self.columns: list[str] = []
        self._read_header()

    def frame(self) -> polars.DataFrame:
        """Returns all rows as stripped texts, null where missing; raises ``DataError`` with the line of a bad row."""
        with self._open(self._start) as file:
            frame, reasons = self._parse(file.read(), self.columns)
        for row, reason in reasons.items():
            raise DataError(f"{self.name} is ragged: line {self.line(row)} has {reason}")
        return frame

    def line(self, row: int) -> int:
        """Returns the last line of a row, counted from 1."""
        with self._open() as file:
            before, text = file.read(self._start), file.read().decode(errors="surrogateescape")
        return len(LINE_END.findall(before)) + next(islice(self._rows(text), row, None))[0]

    def pieces(self, columns: Sequence[str], numbers: Sequence[str]) -> Iterator[Piece]:
        """Yields the rows, some columns of them as text; of ``numbers``, float64 where a whole piece has numbers."""
        size = max(1, len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size)
        first = 0
        for rows, position in self._blocks():
            frame, reasons = self._parse(rows, columns, numbers)
            yield Piece(first, frame, reasons, position / size)
            first += len(frame)

    def _open(self, start: int = 0) -> BinaryIO:
        file = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")
        file.seek(start)
        return file

    def _read_header(self) -> None:
        """Sets the position of the first row, the names of the columns, the separator and the patterns of quotes."""
        header, start, separators = b"", 0, SEPARATORS
        with self._open() as file:
            while not header.strip():
                start, line = file.tell(), file.readline(LONGEST)
                header = line.removeprefix(BYTE_ORDER_MARK)
                if packer := next((name for magic, name in PACKED.items() if header.startswith(magic)), ""):
                    raise DataError(f"{self.name} is packed by {packer}; unpack it or save it as CSV")
                if not line:
                    raise DataError(f"{self.name} is empty")
            start += len(line) - len(header)
            if excel := re.match(rb"sep=([,;\t|])(\r\n?|\n)", header):
                separators, start = excel[1].decode(), start + len(excel[0])
                header = header[len(excel[0]) :] or file.readline(LONGEST)
            while header.count(b'"') % 2 and (more := file.readline(LONGEST)):
                header += more
        if header.strip() in JSON or header.lstrip().startswith(JSON[1:]):
            raise DataError(
                f"{self.name} is JSON; save it as CSV or Parquet, as polars.read_json and read_ndjson help to"
            )
        text = header.decode(errors="surrogateescape")
        if SURROGATE.search(text):
            raise DataError(f"{self.name} is neither Parquet nor UTF-8 text; save it as one of them")
        first_line = re.split("[\r\n]", re.sub('"[^"]*"', "", text).lstrip("\r\n"), maxsplit=1)[0]
        self._separator = max(separators, key=first_line.count)
        separator = re.escape(self._separator).encode()
        quoted = rb'"(?>[^"]*(?:""[^"]*)*)"(?![^\r\n%b])' % separator
        self._quoted = re.compile(rb"(?<![^\r\n%b])" % separator + quoted)
        # Python's reader skips blanks ahead of a quote, polars does not.
        self._indented = re.compile(rb"(^|[\r\n%b]) *" % separator + quoted)
        line_number, names, reason = next(self._rows(text), (1, [""], ""))
        if reason:
            raise DataError(f"{self.name} cannot be read as CSV: its header has {reason}")
        columns = [name.strip() for name in names]
        repeated = [name for name, count in Counter(columns).items() if count > 1]
        if repeated:
            raise DataError(f"{self.name} has two columns of the name {repeated[0]!r}; rename one")
        lines = io.StringIO(text, newline="").readlines()[:line_number]
        self._start = start + len("".join(lines).encode())
        self.columns = [""] * self._has_row_names(columns) + columns

    def _has_row_names(self, columns: list[str]) -> bool:
        """Returns True if the header has no name for the first column, as R writes tables with different row names."""
        with self._open(self._start) as file:
            head = file.read(HEAD)
        rows = [row for _, row, _ in self._rows(head.decode(errors="surrogateescape"))]
        rows = rows[:-1] if len(head) == HEAD else rows  # the last is cut
        if len(rows) < FEWEST or isinstance(self.source, bytes):  # a few rows may have a separator too many
            return False
        fits = all(len(row) == len(columns) + 1 for row in rows) and len({row[0] for row in rows}) == len(rows)
        return fits and "" not in columns and any(row[-1].strip() for row in rows)

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yields blocks of whole rows, and the position in the file behind each."""
        with self._open(self._start) as file:
            rest, size = b"", BLOCK
            while more := file.read(size):
                rest += more
                cut = _last_row(rest)
                if cut:
                    yield rest[:cut], file.tell() - len(rest) + cut
                    rest, size = rest[cut:], BLOCK
                elif len(rest) > LONGEST:
                    raise DataError(f"{self.name} has a quote that never ends in {LONGEST:,} bytes; correct it")
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

    def _count_lines(self, block: bytes) -> int:
        """Returns the number of rows by counting lines outside of quotes that are not blank."""
        lines = LINE_END.split(self._indented.sub(rb"\1_", block))
        if len(self.columns) == 1:
            return sum(map(bool, lines))
        separator = self._separator.encode()
        return sum(separator in line or bool(line.decode(errors="replace").strip()) for line in lines)

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

    def _parse(
        self, rows: bytes, columns: Sequence[str], numbers: Sequence[str] = ()
    ) -> tuple[polars.DataFrame, Reasons]:
        """Returns some columns of a block, ``numbers`` as float64 if all are, and why rows are bad, by their positions.

        Polars parses a block in which no row may be blank, too short or too long.
        """
        block = rows.strip(b"\r\n")
        count = self._count_regular(block)
        for floats in [numbers, ()] if count and block else ():
            schema = dict.fromkeys(self.columns, polars.String()) | dict.fromkeys(floats, polars.Float64())
            options: dict[str, Any] = {"separator": self._separator, "null_values": self.missing, "has_header": False}
            with suppress(PolarsError, PanicException, OverflowError):
                frame = polars.scan_csv(io.BytesIO(block), schema=schema, **options).select(columns).collect()
                if len(frame) == count:
                    return normalize_cells(frame, self.missing), {}
        return self._parse_each(rows, columns)

    def _parse_each(self, block: bytes, columns: Sequence[str]) -> tuple[polars.DataFrame, Reasons]:
        """Returns a block parsed row by row, and why rows are bad, by their positions."""
        rows: list[list[str] | list[None]] = []
        reasons: Reasons = {}
        for _, row, reason in self._rows(block.decode(errors="surrogateescape")):
            if SURROGATE.search("".join(row)):
                reason = "bytes that are not UTF-8 text; save it as UTF-8"
            elif not reason and len(row) != len(self.columns):
                reason = f"{len(row)} fields, and there are {len(self.columns)} columns"
            if reason:
                reasons[len(rows)] = reason
            rows.append([None] * len(self.columns) if reason else row)
        if not reasons and (lines := self._count_lines(block)) != len(rows):
            raise DataError(
                f"{self.name} has {len(rows):,} rows by its fields and {lines:,} by its lines outside of quotes; "
                "write quotes around each text that has one, and the one inside twice"
            )
        frame = polars.DataFrame(rows, schema=dict.fromkeys(self.columns, polars.String()), orient="row")
        return normalize_cells(frame.select(columns), self.missing), reasons


def _last_row(text: bytes) -> int:
    """Returns the position behind the last line end outside of quotes; 0 if there is none."""
    end = b"\n" if b"\n" in text else b"\r"
    cut = text.rfind(end) + 1
    quotes = text.count(b'"', 0, cut)
    while cut and quotes % 2:
        before = text.rfind(end, 0, cut - 1) + 1
        quotes -= text.count(b'"', before, cut)
        cut = before
    return cut
