"""The type of a column is typed, or that of the train rows; a later file is read as those types."""

import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK, writer

from datamodules import DataError, TableData
from datamodules.preprocessing.json_rows import as_source
from datamodules.tables.columns import number_note
from experiments.__main__ import main
from experiments.inference import load

ROWS = 40
LABELS = ["no", "yes", "yes", "no"] * (ROWS // 4)
QUICKLY = ["--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "0"]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.csv")


def lines(header: str, *columns: list[Any], separator: str = ",") -> str:
    """Returns a table of columns as CSV, with the labels behind them."""
    rows = zip(*columns, LABELS, strict=True)
    return "\n".join([header, *(separator.join(map(str, row)) for row in rows)]) + "\n"


def inspected(capfd: pytest.CaptureFixture[str], path: str, *words: str) -> str:
    capfd.readouterr()
    assert main(["inspect", "--data", "TableData", "--data.path", path, "--data.target", "label", *words]) == 0
    return capfd.readouterr().out


NUMBERS = [(row * 7919) % 101 / 8 for row in range(ROWS)]


@pytest.mark.parametrize(
    ("header", "index", "separator"),
    [
        (",a,label", range(ROWS), ","),
        ("Unnamed: 0,a,label", range(ROWS), ","),
        ("\ta\tlabel", range(ROWS), "\t"),
        ("a\tlabel", [f"r{row}" for row in range(ROWS)], "\t"),
        ("a;label", [f'"{row + 1}"' for row in range(ROWS)], ";"),
    ],
)
def test_the_index_of_a_frame_is_no_input(
    fit: Fit, table, capfd, tmp_path: Path, header: str, index: list, separator: str
) -> None:
    path = table(lines(header, index, NUMBERS, separator=separator))
    record = fit("--data", "TableData", "--data.path", path, "--data.target", "label", *QUICKLY)
    assert any("index" in note for note in record["notes"])
    output = tmp_path / "out.csv"
    assert main(["predict", "--ckpt_path", str(record["path"]), "--input", path, "--output", str(output)]) == 0
    assert len(polars.read_csv(output)) == ROWS
    plain = table(lines("a,label", NUMBERS), "plain.csv")
    assert load(record["path"]).predict(plain).equals(load(record["path"]).predict(path))
    assert " a " in inspected(capfd, path)


def test_the_index_in_a_parquet_file_of_pandas_is_no_input(table) -> None:
    frame = polars.DataFrame({"a": NUMBERS, "label": LABELS, "__index_level_0__": range(ROWS)})
    data = TableData(table(frame, "my.parquet"), "label")
    assert data.columns.number_names == ["a"]
    assert "__index_level_0__" in data.notes[-1]
    typed = TableData(table(frame, "my.parquet"), "label", types={"__index_level_0__": "numeric"})
    assert typed.columns.number_names == ["a", "__index_level_0__"]
    assert not TableData(table(frame, "my.parquet"), "label", drop="__index_level_0__").notes


def test_one_row_that_is_too_long_is_no_index(refused, table) -> None:
    content = lines("a,b,label", NUMBERS, NUMBERS).replace(f"{NUMBERS[0]},{NUMBERS[0]},", "1,2,3,", 1)
    message = refused("--data", "TableData", "--data.path", table(content), "--data.target", "label", *QUICKLY)
    assert "line 2 has 4 fields" in message


def test_a_few_rows_with_a_separator_too_many_are_bad_rows(fit: Fit, table) -> None:
    """As of 3,5 for 3.5: such a field names no row."""
    path = table(lines("a,label", NUMBERS))
    run = load(fit("--data", "TableData", "--data.path", path, "--data.target", "label", *QUICKLY)["path"])
    for content in ("a\n3,5\n", "a\n3,5\n4,1\n"):
        with pytest.raises(DataError, match=r"2 fields, and there (is|are) 1 column"):
            run.predict(table(content, "new.csv"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_later_file_may_have_times_of_day(table, ending: str) -> None:
    """Fit and predict read the same days, with their fractions."""
    days = [datetime.datetime(2020, 1, 1 + row % 28) for row in range(ROWS)]
    frame = polars.DataFrame({"d": [day.date() for day in days], "a": NUMBERS, "label": LABELS})
    later = frame.with_columns(d=polars.Series([day.replace(hour=18) for day in days]))
    test = table(later, f"test.{ending}")
    data = TableData(table(frame, f"train.{ending}"), "label", test_path=test)
    data.setup("fit")
    (chunk,) = data.inputs.chunks(test)
    assert torch.equal(data.part("test")["x"], chunk.tensors["x"])
    assert not torch.equal(data.part("test")["x"], next(data.inputs.chunks(frame)).tensors["x"])


def test_a_column_with_one_value_up_to_rounding_is_noted(table) -> None:
    path = table(lines("a,c,label", NUMBERS, [0.3, 0.1 + 0.2] * (ROWS // 2)))
    assert any("without effect: c" in note for note in TableData(path, "label").notes)


@pytest.mark.parametrize("normalize", ["standard", "minmax", "robust", "quantile"])
def test_a_constant_column_has_no_effect(fit: Fit, table, normalize: str) -> None:
    path = table(lines("a,c,d,label", NUMBERS, [0.1] * ROWS, ["x"] * ROWS))
    words = ["--data", "TableData", "--data.path", path, "--data.target", "label", "--data.normalize", normalize]
    record = fit(*words, *QUICKLY)
    assert any("without effect: c" in note for note in record["notes"])
    rows = {"a": [0.5] * 5, "c": [0.1, 5.0, 1e30, -1000.0, None], "d": ["x"] * 5}
    probability = load(record["path"]).predict(rows)["probability_yes"]
    assert probability.max() - probability.min() < 1e-6


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ([f"0{1 + row % 9}/01/20{20 + row % 4}" for row in range(ROWS)], "01/01/2020 as 1 January 2020"),
        ([f"{1 + row % 12:02}/{1 + row % 28:02}/2020" for row in range(ROWS)], "is not read with the others"),
        ([f"12/{20 + row % 9}/2020" for row in range(ROWS)], "'12/20/2020' is not read"),
        ([f"2020-12-{10 + row % 9} 08:30:00 UTC" for row in range(ROWS)], "time zones"),
        (["26.10.2022", "2022-08-21"] * (ROWS // 2), "is not read with the others"),
    ],
)
def test_dates_of_another_format_are_named(table, capfd, dates: list[str], expected: str) -> None:
    path = table(lines("a,when,label", NUMBERS, dates))
    with contextlib.suppress(SystemExit):  # more than 20 different texts are an error, and fewer a note
        main(["inspect", "--data", "TableData", "--data.path", path, "--data.target", "label"])
    assert expected in " ".join("".join(capfd.readouterr()).split())
    assert expected not in inspected(capfd, path, "--data.drop", "when")


def test_dates_that_a_split_by_time_depends_on_are_named(table, capfd) -> None:
    dates = [f"0{1 + row % 9}/0{1 + row % 7}/2020" for row in range(ROWS)]
    path = table(lines("a,when,label", NUMBERS, dates))
    assert "column when is read day first, 01/01/2020 as" in inspected(capfd, path, "--data.time", "when")


def test_a_header_of_decimal_numbers_is_named(table, capfd) -> None:
    """As of a file without a header, whose first row would be lost."""
    path = table(lines("3.25,17,label", NUMBERS, list(range(ROWS))))
    assert f"such as 3.25; if the first line of {path} is a row, write names above" in inspected(capfd, path)
    for names in ("a,b", "0,1", "3.25,b"):
        path = table(lines(f"{names},label", NUMBERS, list(range(ROWS))))
        assert "are named by numbers" not in inspected(capfd, path)


def test_the_range_of_dates_is_inspected(table, capfd) -> None:
    dates = [datetime.date(2020, 1, 1) + datetime.timedelta(row) for row in range(ROWS)]
    printed = inspected(capfd, table(lines("a,when,label", NUMBERS, dates)))
    assert "2020-01-" in printed
    assert "2020-02-" in printed


# A later file is read as the types of the train rows


@pytest.mark.parametrize(
    ("column", "later", "cell", "line"),
    [
        ([1, 2, 3, 4], ["5", "6", "old", "8"], "'old'", "row 2 (line 4)"),
        ([1.5, 2, 3, 4], ["5", "", "6 kg", "8"], "'6 kg'", "row 2 (line 4)"),
        (["2020-01-01", "2021-01-01"] * 2, ["2020-05-05", "soon", "", "2020-05-05"], "'soon'", "row 1 (line 3)"),
        (["01/02/2020", "21/02/2020"] * 2, ["05/05/2020", "05/25/2020"] * 2, "'05/25/2020'", "row 1 (line 3)"),
    ],
)
@pytest.mark.parametrize("option", ["val", "test"])
def test_a_cell_of_a_later_file_that_does_not_fit_is_named(
    refused, table, column: list, later: list[str], cell: str, line: str, option: str
) -> None:
    train = table(lines("x,label", column * (ROWS // 4)))
    good = table(lines("x,label", column * (ROWS // 4)), "good.csv")
    other = table(lines("x,label", later * (ROWS // 4)), "later.csv")
    files = {"val": good, "test": good} | {option: other}
    paths = [word for name, file in files.items() for word in (f"--data.{name}_path", file)]
    words = ["--data", "TableData", "--data.path", train, *paths, "--data.target", "label", *QUICKLY]
    message = refused(*words)
    assert all(word in message for word in ("column x", cell, line, "later.csv"))


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_cell_of_another_part_that_does_not_fit_is_named(refused, table, part: str) -> None:
    parts = ["train"] * (ROWS - 8) + ["val"] * 4 + ["test"] * 4
    values = [str(row) for row in range(ROWS)]
    odd = ROWS - (6 if part == "val" else 2)
    values[odd] = "old"
    path = table(lines("x,part,label", values, parts))
    words = ["--data", "TableData", "--data.path", path, "--data.split_column", "part", "--data.target", "label"]
    message = refused(*words, *QUICKLY)
    assert all(word in message for word in ("column x", "'old'", f"row {odd} (line {odd + 2})"))


LATER = st.lists(
    st.sampled_from(["1", "1.0", "2", "2.0", "2.5", "new", "", "true", "0501", "2020-05-05"]), min_size=4, max_size=4
)


@settings(QUICK, max_examples=40)
@given(LATER, st.sampled_from(["csv", "parquet"]))
def test_no_later_file_changes_a_type(tmp_path_factory, later: list[str], ending: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    write = writer(folder, "train.csv")
    columns = {"count": [1, 2] * 2, "size": [1.5, 2.0] * 2, "code": ["a", "0501"] * 2, "flag": ["True", "false"] * 2}
    train = write(lines(",".join([*columns, "label"]), *(values * (ROWS // 4) for values in columns.values())))
    cells = polars.DataFrame(dict.fromkeys(columns, later * (ROWS // 4))).with_columns(label=polars.Series(LABELS))
    other = write(cells, f"later.{ending}")
    alone = TableData(train, "label", test_path=train, types={"count": "categorical"})
    if {"new", "true", "2020-05-05"} & {*later}:
        with pytest.raises(DataError, match="column size is to be numeric"):
            TableData(train, "label", test_path=other, types={"count": "categorical"})
        return
    data = TableData(train, "label", test_path=other, types={"count": "categorical"})
    assert data.kinds == alone.kinds
    assert data.encoding == alone.encoding
    data.setup("fit")
    test = data.part("test")
    (chunk,) = data.inputs.chunks(other)
    assert torch.equal(test["x"], chunk.tensors["x"])
    assert torch.equal(test["categories"], chunk.tensors["categories"])


def test_the_task_is_that_of_the_train_file(table) -> None:
    def targets(values: list[Any]) -> str:
        return lines("x,y,label", NUMBERS, (values * ROWS)[:ROWS])

    train = table(targets([0.5, 1.25, 2.5]), "train.csv")
    whole = TableData(train, "y", test_path=table(targets([1, 2]), "test.csv"), drop="label")
    assert whole.task == "regression"
    classes = table(targets([1, 2, 3]), "train.csv")
    assert TableData(classes, "y", test_path=table(targets(["1.0", "3"]), "test.csv"), drop="label").num_outputs == 3
    with pytest.raises(DataError, match=r"column y is to be numeric, and row 1 \(line 3\) of .*'x'"):
        TableData(classes, "y", test_path=table(targets(["1", "x"]), "test.csv"), drop="label")


# Whole numbers that are stored as floats


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("whole", [[1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]])
def test_a_whole_number_is_one_category_from_every_reader(table, tmp_path: Path, ending: str, whole: list) -> None:
    frame = polars.DataFrame({"c": whole * (ROWS // 4), "x": NUMBERS, "label": LABELS})
    data = TableData(table(frame, f"my.{ending}"), "label", types={"c": "categorical"})
    assert data.encoding.categories == {"c": ["1", "2", "3", "4"]}
    data.setup("fit")
    sources: list[Any] = [{"c": cells, "x": [0.0] * 4} for cells in ([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0])]
    sources += [{"c": [f"{cell}.0" for cell in range(1, 5)], "x": [0.0] * 4}, polars.DataFrame(sources[1])]
    for index, source in enumerate(sources):
        polars.DataFrame(source).write_csv(tmp_path / f"{index}.csv")
        polars.DataFrame(source).write_parquet(tmp_path / f"{index}.parquet")
        for one in (source, str(tmp_path / f"{index}.csv"), str(tmp_path / f"{index}.parquet")):
            (chunk,) = data.inputs.chunks(one)
            assert chunk.tensors["categories"].flatten().tolist() == [2, 3, 4, 5]
    body = data.inputs.body_readers()["text/csv"]
    (chunk,) = data.inputs.chunks(body(b"c,x\n1.0,0\n2,0\n").value)
    assert chunk.tensors["categories"].flatten().tolist() == [2, 3]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_whole_floats_are_classes(table, ending: str) -> None:
    frame = polars.DataFrame({"x": NUMBERS, "label": [1.0, 2.0, 3.0, 1.0] * (ROWS // 4)})
    data = TableData(table(frame, f"my.{ending}"), "label")
    assert (data.task, data.class_names) == ("multiclass", ("1", "2", "3"))


# Values beyond float32


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("value", [1e300, -1e39])
@pytest.mark.parametrize("column", ["x", "y"])
def test_a_number_beyond_float32_is_refused_by_fit(refused, table, ending: str, value: float, column: str) -> None:
    frame = polars.DataFrame({"x": NUMBERS, "z": NUMBERS, "y": NUMBERS})
    frame[7, column] = value
    path = table(frame, f"my.{ending}")
    message = refused("--data", "TableData", "--data.path", path, "--data.target", "y", *QUICKLY)
    assert all(word in message for word in (f"column {column}", "beyond float32", f"{value:g}", "row 7"))


def test_a_number_beyond_float32_is_a_bad_row_in_prediction(fit: Fit, table, tmp_path: Path) -> None:
    path = table(lines("a,tiny,label", NUMBERS, [number * 1e-36 for number in NUMBERS]))
    record = fit("--data", "TableData", "--data.path", path, "--data.target", "label", *QUICKLY)
    rows = {"a": [1.0, 1e300, 2.0, -1e39, 3.0], "tiny": [0.0, 0.0, 1e30, 0.0, 0.0]}
    predictor = load(record["path"])
    with pytest.raises(DataError, match=r"row 1 cannot .* column a is '1e\+300', which is not within float32"):
        predictor.predict(rows)
    polars.DataFrame(rows).write_csv(tmp_path / "new.csv")
    polars.DataFrame(rows).write_parquet(tmp_path / "new.parquet")
    for name in ("new.csv", "new.parquet"):
        output = tmp_path / "out.parquet"
        words = ["--ckpt_path", str(record["path"]), "--input", str(tmp_path / name), "--output", str(output)]
        assert main(["predict", *words]) == 0
        assert polars.read_parquet(output)["row"].to_list() == [0, 4]
        assert polars.read_parquet(output)["probability_yes"].is_finite().all()
        bad = polars.read_parquet(tmp_path / "out.bad.parquet")
        assert bad["row"].to_list() == [1, 2, 3]
        assert "once it is normalized" in bad["reason"][1]
    source = predictor.inputs.row_readers()["objects"](polars.DataFrame(rows).to_dicts())
    assert [len(chunk.bad) for chunk in predictor.inputs.chunks(as_source(source.value))] == [3]


DIGITS = ["{}", "{}.5", "{},25", ".{}", "{},000", "{}.000.000", "{} 500", "{}\u00a0500", "{}_500", "{}D+02"]
AROUND = ["{}", "({})", "-{}", "−{}", "$ {}", "€{}", "USD {}", "{} €", "{}%", "{} kg", "{}k", "{} km/h", "{}°C"]
NO_NUMBERS = ["{}st", "{} th", "item {}", "C-{}", "{}-9", "{}/12", "1.{}.0", "v{}", "{}:30 x", "SKU{}", "{} of 9"]


@given(
    st.sampled_from(DIGITS),
    st.sampled_from(AROUND),
    st.sampled_from(NO_NUMBERS),
    st.sets(st.integers(1, 99), min_size=3),
)
def test_numbers_are_recognized_however_they_are_written(
    digits: str, around: str, other: str, numbers: set[int]
) -> None:
    """They are named, all of one unit, and other texts with a number inside are not."""
    texts = polars.Series("h", [around.format(digits.format(number)) for number in numbers])
    readable = texts.cast(polars.Float64, strict=False).null_count() == 0
    note = number_note(texts)
    assert note == "" if readable else note.startswith("column h is categorical, though nearly all its values are num")
    assert number_note(polars.Series("h", [other.format(number) for number in numbers])) == ""
    of_units = [f"{number} {'kg' if number % 2 else 'lb'}" for number in range(40)]
    assert number_note(polars.Series("h", of_units)) == ""
