"""The reader of all tables: a frame, a CSV or Parquet file, or a folder of Parquet files, whole or piece by piece."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import polars

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Piece
from datamodules.regular_file import check_regular
from datamodules.streaming.parquet_files import ParquetFiles
from datamodules.tables.casting import checked, normalize_cells
from datamodules.tables.cell_types import conformed, day_first_note, header_note, inferred_types, stored
from datamodules.tables.columns import ColumnType, read_numbers, type_of
from datamodules.tables.csv_file import CsvFile
from datamodules.tables.parquet_file import MAGIC, ParquetFile, reading

CELLS = 2**20  # cells of a Parquet file or of a frame in a piece


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
        self.day_first: dict[str, str] = {}  # notes by column
        if isinstance(source, polars.DataFrame):
            self.name, self.columns = name or "the frame", source.columns
            return
        self.name = name or str(source if isinstance(source, str | Path) else "the table")
        if not isinstance(source, bytes):
            check_regular(source)
        with reading(self.name, "a table"):
            content = source if isinstance(source, bytes) else Path(source).absolute()
            self._file: ParquetFiles | ParquetFile | CsvFile
            if isinstance(content, Path) and content.is_dir():
                self._file = ParquetFiles(self.name, missing)
                self.notes += self._file.notes
            else:
                self._file = (ParquetFile if _first_bytes(content) == MAGIC else CsvFile)(content, self.name, missing)
        self.is_text = isinstance(self._file, CsvFile)  # whose cells have no types
        self.columns = self._file.columns
        if self.is_text:
            self.notes += header_note(self.columns, self.name)

    def cells(self) -> polars.DataFrame:
        """Returns all rows: values of a Parquet file, texts of CSV; raises ``DataError`` for a table without any."""
        with reading(self.name, "a table"):
            frame = self._file.frame()
        if not len(frame):
            raise DataError(f"{self.name} has no rows")
        return frame

    def frame(self) -> polars.DataFrame:
        """Returns all rows, of a CSV file with the types of all values; raises ``DataError`` as ``cells`` does."""
        cells = self.cells()
        if not self.is_text:
            return cells
        frame = inferred_types(cells)
        self.day_first = {name: note for name in cells.columns if (note := day_first_note(cells[name], frame[name]))}
        return frame

    def notes_on(self, columns: Collection[str]) -> list[str]:
        """Returns the notes on the file, and those on some columns of a frame that was read."""
        return [*self.notes, *(note for name, note in self.day_first.items() if name in columns)]

    def frame_like(
        self,
        train: polars.DataFrame,
        used: Collection[str],
        types: Mapping[str, ColumnType],
        id: str | None = None,
    ) -> polars.DataFrame:
        """Returns the rows of a later file, read as the data types of the train rows; unused columns are null.

        ``types`` are not inferred; the column ``id`` names rows. Raises ``DataError`` for a cell that does not fit its
        column.
        """
        cells, read = self.cells(), []
        for name in filter(set(used).__contains__, cells.columns):
            dtype = train.schema[name]
            kind = types.get(name) or type_of(name, dtype)
            values = conformed(cells[name], dtype, kind == "categorical")
            if kind != "categorical":
                numbers = read_numbers(values, kind, stored(dtype))
                checked(cells[name], numbers, kind, lambda row: f"{self.location(row)} of {self.name}")
            read.append(values)
        if id in cells.columns:
            read.append(self._ids_like(cells[id], train.schema[id]))
        unused = [polars.lit(None).alias(name) for name in train.columns if name not in {*used, id}]
        frame = cells.with_columns(*read, *unused)
        return frame.select(name for name in train.columns if name in frame.columns)

    def _ids_like(self, column: polars.Series, dtype: polars.DataType) -> polars.Series:
        ids = conformed(column, dtype, categorical=False)
        if unfit := (ids.is_null() & column.is_not_null()).arg_true().to_list():
            raise DataError(
                f"column {column.name}, which --data.id names, is {column[unfit[0]]!r} in {self.location(unfit[0])} of "
                f"{self.name}, and {dtype} in the train rows' file; write it alike, or leave --data.id out"
            )
        return ids

    def location(self, row: int) -> str:
        """Names a row of a file that was read whole, with the line of a CSV file."""
        return f"row {row} (line {self._file.line(row)})" if isinstance(self._file, CsvFile) else f"row {row}"

    def check(self, wanted: Sequence[str], id: str | None = None) -> tuple[str, ...]:
        """Returns notes on columns that are not used, and on the column ``id`` of the rows if it is missing.

        Raises ``DataError`` with the used columns that are missing.
        """
        lacking = [name for name in wanted if name not in self.columns]
        if lacking:
            noun = "column" if len(lacking) == 1 else "columns"
            names = ", ".join(lacking[:10]) + " ..." * (len(lacking) > 10)
            raise DataError(f"{self.name} lacks the {noun} {names}, which the model was trained with")
        extra = [name for name in self.columns if name not in {*wanted, id}]
        names = ", ".join(name or "one without a name" for name in extra[:10]) + " ..." * (len(extra) > 10)
        notes = [*self.notes, *([f"columns that the model does not use, ignored: {names}"] if extra else [])]
        if id not in (None, *self.columns):
            notes.append(f"there is no column {id}, which --data.id named in training, and predictions go without it")
        return tuple(notes)

    def pieces(self, wanted: Sequence[str], numbers: Sequence[str] = ()) -> Iterator[Piece]:
        """Yields the wanted columns of all rows, those of CSV as text, and ``numbers`` as float64 where all are."""
        size = max(1, CELLS // max(1, len(wanted)))
        with reading(self.name, "a table"):
            if isinstance(self.source, polars.DataFrame):
                frame = self.source.select(wanted)
                firsts = range(0, len(frame), size)
                some = (normalize_cells(frame[first : first + size], self.missing) for first in firsts)
                yield from _numbered(some, len(frame))
            elif isinstance(self._file, CsvFile):
                yield from self._file.pieces(wanted, numbers)
            else:
                yield from _numbered(self._file.pieces(wanted, size), self._file.rows)


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
