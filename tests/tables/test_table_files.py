"""Tables that cannot be used: each is refused in one sentence, whatever the file holds."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_table import people
from tiny_data import writer

from datamodules import DataError, TableData
from datamodules.tables.read_table import parse

PARTS = ["train"] * 4 + ["val", "test"]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.csv")


GOOD = "x,c,label\n" + "".join(f"{row},{'ab'[row % 2]},{'no' if row % 3 else 'yes'}\n" for row in range(40))


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        (GOOD + "1,2\n", "", ["ragged: line 42 has 2 fields, and there are 3 columns"]),
        (GOOD + "1,a,no,3\n", "", ["ragged: line 42 has 4 fields"]),
        (GOOD + "1,a,no,3\n1,a\n", "", ["ragged: line 42 has 4 fields"]),  # with as many separators as it should have
        (GOOD + "1,a,no\r1,a\n", "", ["ragged: line 43 has 2 fields"]),
        (GOOD.replace(",b,", ",é,").encode("latin1"), "", ["UTF-8", "line 3"]),
        (GOOD.encode("utf-16"), "", ["UTF-8"]),
        ("", "", ["is empty"]),
        ("x,c,label\n", "", ["no rows"]),
        ("x,x,label\n1,2,no\n", "", ["two columns of the name 'x'"]),
        ('{"x": 1, "label": "no"}\n', "", ["is JSON; save it as CSV or Parquet"]),
        ('[\n  {"x": 1, "label": "no"}\n]', "", ["is JSON; save it as CSV or Parquet"]),
        ('[{"x": 1, "label": "no"}]', "", ["is JSON; save it as CSV or Parquet"]),
        (b"PAR1 and then nothing", "", ["cannot be read as Parquet"]),
        (GOOD, "--data.target lable", ["--data.target lable", "label"]),
        (GOOD, "--data.drop [d]", ["--data.drop d"]),
        (GOOD, "--data.types.d date", ["--data.types d"]),
        (GOOD, "--data.types.label numeric", ["--data.types label"]),
        (GOOD, "--data.types.c numeric", ["column c", "row 0", "'a'"]),
        (GOOD, "--data.types.c date", ["column c", "row 0"]),
        (GOOD, "--data.types.x date", ["column x", "date"]),
        (GOOD, "--data.types.x number", ["'numeric'"]),
        (GOOD, "--data.drop [x,c]", ["no input column"]),
        (GOOD, "--data.drop [label]", ["--data.target"]),
        (GOOD, "--data.target [label,x]", ["label is neither"]),
        (GOOD, "--data.target [c,label] --data.task binary", ["one target column"]),
        (GOOD, "--data.target x --data.task binary", ["two classes", "40"]),
        (GOOD, "--data.target x --data.task multilabel", ["0 and 1"]),
        (GOOD, "--data.task regression", ["label", "numeric"]),
        (GOOD.replace(",a,", ",,").replace(",b,", ",,"), "", ["column c has no value"]),
        (GOOD.replace("\n7,", "\ninf,").replace("\n9,", "\n-inf,"), "", ["column x has 2 infinite values", "row 7"]),
        (GOOD.replace("5,b,no", "5,b,"), "", ["target label is missing in 3 of 40 rows", "row 5"]),
        (GOOD.replace("yes", "no"), "", ["two classes"]),
        ("name,label\n" + "".join(f"u{row},{row % 2}\n" for row in range(40)), "", ["--data.drop", "column name"]),
        (GOOD, "--data.group nowhere", ["--data.group nowhere"]),
        (GOOD, "--data.group c --data.time x", ["--data.group", "--data.time"]),
        (GOOD, "--data.group c", ["2 groups"]),
        (GOOD, "--data.fold 1", ["--data.folds"]),
        (GOOD, "--data.folds 3 --data.fold 3", ["fold"]),
        (GOOD, "--data.split_column c", ["train, val or test", "'a'"]),
        (GOOD, "--data.stratify true --data.time x", ["stratify"]),
    ],
)
def test_bad_input_is_one_sentence(refused, table, content: str | bytes, words: str, expected: list[str]) -> None:
    command = ["--data", "TableData", "--data.path", table(content), "--model", "LitMLP"]
    message = refused(*command, *(["--data.target", "label"] if "data.target" not in words else []), *words.split())
    assert all(one in message for one in expected), message
    assert len(message.splitlines()) == 1


def test_a_missing_file_is_one_sentence(refused) -> None:
    message = refused("--data", "TableData", "--data.path", "nowhere.csv", "--data.target", "y", "--model", "LitMLP")
    assert message.startswith("error: nowhere.csv cannot be read: No such file")
    assert "--data.path" in refused("--data", "TableData", "--data.target", "y", "--model", "LitMLP")


def test_a_column_of_lists_is_refused(refused, table) -> None:
    frame = people().with_columns(tags=polars.concat_list("id", "label"))
    words = (
        f"--data TableData --data.path {table(frame, 'my.parquet')} --data.target label --data.drop id --model LitMLP"
    )
    assert "column tags holds List(String)" in refused(*words.split())


def test_a_label_that_no_train_row_has(refused, table) -> None:
    frame = polars.DataFrame({"x": range(6), "label": ["a", "b", "a", "b", "b", "rare"], "part": PARTS})
    words = f"--data TableData --data.path {table(frame)} --data.target label --data.split_column part --model LitMLP"
    assert "no row of class rare" in refused(*words.split())


def test_a_column_that_no_train_row_has(refused, table) -> None:
    frame = polars.DataFrame({"x": [None] * 4 + [1, 2], "z": range(6), "label": ["a", "b"] * 3, "part": PARTS})
    words = f"--data TableData --data.path {table(frame)} --data.target label --data.split_column part --model LitMLP"
    assert "column x has no value in the 4 train rows" in refused(*words.split())


def test_what_a_folder_leaves_out_is_noted(tmp_path: Path) -> None:
    for number in range(2):
        people(40, number).write_parquet(tmp_path / f"{number}.parquet")
    (tmp_path / "readme.txt").write_text("about")
    data = TableData(str(tmp_path), "label", drop="id")
    assert len(data.features()) == 80
    assert any("readme.txt" in note for note in data.notes)


BYTES = st.one_of(
    st.binary(max_size=200), *(text.map(str.encode) for text in (st.text(max_size=200), st.text('ab,;"\n\r\t 1.-')))
)


@settings(max_examples=100, deadline=None)
@given(BYTES)
def test_the_reader_gives_a_frame_or_a_sentence(content: bytes) -> None:
    frame_or_sentence(content)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 40))
def test_a_damaged_parquet_file_gives_a_frame_or_a_sentence(start: int, length: int) -> None:
    file = io.BytesIO()
    people(30).write_parquet(file)
    whole = file.getvalue()
    start %= len(whole)
    frame_or_sentence(
        whole[:start] + bytes(byte ^ 0x5A for byte in whole[start : start + length]) + whole[start + length :]
    )
    frame_or_sentence(whole[:start])


def frame_or_sentence(content: bytes) -> None:
    with contextlib.suppress(DataError):
        assert len(parse(content, "file"))
