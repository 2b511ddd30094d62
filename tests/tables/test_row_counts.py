"""Rows of CSV are counted by two readers, on the fast path and on the slow one."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import DataError, TableData
from datamodules.tables.csv_file import CsvFile
from datamodules.tables.read_table import MISSING
from datamodules.tables.table_source import Table
from experiments.__main__ import main

CELLS = st.text(st.sampled_from("ab ,;\t|\"\n\r'é"), max_size=6)


def quoted(text: str, indented: bool) -> str:
    return " " * indented + '"' + text.replace('"', '""') + '"'


@settings(QUICK, max_examples=150)
@given(
    st.lists(st.tuples(CELLS, CELLS, st.booleans()), min_size=1, max_size=8),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
)
def test_any_quoted_cells_in_any_dialect_are_the_rows(
    tmp_path_factory, cells: list[tuple[str, str, bool]], separator: str, end: str, excel: bool, blank: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "my.csv"
    rows = [separator.join(["1", quoted(first, indented), quoted(second, False)]) for first, second, indented in cells]
    header = [f"sep={separator}"] * excel + [separator.join(["n", "first", "second"])]
    path.write_bytes((end.join([*header, *[""] * blank, *rows]) + end).encode())
    frame = Table(path, MISSING).frame()
    expected = [[text.strip() for text in row[:2]] for row in cells]
    assert frame.height == len(cells)
    texts = CsvFile(path, "my.csv", MISSING).frame()
    assert texts.select("first", "second").rows() == [tuple(text or None for text in row) for row in expected]
    pieces = list(CsvFile(path, "my.csv", MISSING).pieces(["first", "second"], []))
    assert polars.concat([piece.frame for piece in pieces]).equals(texts.select("first", "second"))


@pytest.mark.parametrize(
    "lines",
    [
        ["x,c,label", '1, "a",no', '2,"b",yes', "", "3,c,no", "4,d,yes"],
        ["sep=;", "x;c;label", "1; a;no", '2;"b;";yes', "   ", "3;c;no", '4;"d\nd";yes'],
    ],
)
def test_a_reader_that_loses_a_row_is_noticed(monkeypatch, tmp_path: Path, capfd, lines: list[str]) -> None:
    class Losing:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.rows, self.line_num = csv_reader(*args, **kwargs), 0

        def __iter__(self) -> Iterator[list[str]]:
            return self

        def __next__(self) -> list[str]:
            row = next(self.rows)
            self.line_num = self.rows.line_num
            return next(self.rows) if row[:1] == ["3"] else row

    csv_reader = csv.reader
    path = tmp_path / "my.csv"
    path.write_text("\n".join(lines))
    assert len(Table(path, MISSING).frame()) == 4
    monkeypatch.setattr(csv, "reader", Losing)
    with pytest.raises(SystemExit) as stopped:
        main(["inspect", "--data", "TableData", "--data.path", str(path), "--data.target", "label"])
    assert stopped.value.code == 2
    assert "3 rows by its fields and 4 by its lines" in capfd.readouterr().err


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_of_a_cell_is_that_of_the_file(tmp_path: Path, end: str) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    good = [f"{row},{'no' if row % 2 else 'yes'}" for row in range(12)]
    train.write_text(end.join(["x,label", *good]), newline="")
    test.write_text(end.join(["", "x,label", "", *good[:4], "", '"old",no', *good]), newline="")
    with pytest.raises(DataError, match=r"row 4 \(line 9\) of .*test\.csv has 'old'"):
        TableData(str(train), "label", test_path=str(test))


@pytest.mark.parametrize(
    ("head", "packer"),
    [(b"PK\x03\x04", "zip"), (b"BZh91AY&SY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x1f\x8b\x08", "gzip")],
)
def test_a_packed_file_is_named(tmp_path: Path, head: bytes, packer: str) -> None:
    path = tmp_path / "my.csv"
    path.write_bytes(head + b"\0\1\2\n" * 9)
    with pytest.raises(DataError, match=f"is packed by {packer}"):
        Table(path, MISSING).frame()
