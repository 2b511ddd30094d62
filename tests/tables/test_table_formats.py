"""A table has the same rows and values as CSV, Parquet, frame and JSON, in fit, predict and serve."""

import datetime
import functools
import gzip
import importlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer
from tiny_data import model_for, quiet_trainer

from datamodules import DataError, DataModule, StreamedTable, TableData
from datamodules.inspection.inspection import inspect
from datamodules.preprocessing.json_rows import as_source
from experiments.__main__ import main
from experiments.inference.predictor import Predictor, load
from experiments.run.record.artifacts import PredictionWriter
from experiments.serve.batching import Answers
from experiments.serve.request_body import read_body
from experiments.serve.server_settings import Body
from lit_models import LitLinear

ROWS = 24
LABELS = ["no", "yes", "yes"] * (ROWS // 3)


def rows_of(frame: polars.DataFrame) -> polars.DataFrame:
    return frame.with_columns(label=polars.Series(LABELS))


def fitted(path: Path, **options: Any) -> TableData:
    data = TableData(str(path), "label", **options)
    data.setup("fit")
    return data


def train_tensors(data: TableData) -> dict[str, torch.Tensor]:
    return data.inputs.tensors(data.columns, torch.arange(len(data.columns.numbers)))


def predict_tensors(data: TableData, source: Any) -> dict[str, torch.Tensor]:
    chunks = list(data.inputs.chunks(source))
    assert not sum(len(chunk.bad) for chunk in chunks)
    return {name: torch.cat([chunk.tensors[name] for chunk in chunks]) for name in chunks[0].tensors}


def check_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


TEXTS = ["b", "c d", 'the "q', "5;6", "a,b", "x\ty", "two\nlines", "0501", "12", "é", "true", "1e3", None]
DAYS = st.dates(datetime.date(1800, 1, 1), datetime.date(2200, 1, 1))
CELLS = {
    "count": st.integers(-(2**53), 2**53) | st.none(),
    "row": st.floats(-1e30, 1e30) | st.none(),
    "null": st.booleans() | st.none(),
    "day": DAYS | st.none(),
    "text": st.sampled_from(TEXTS),
    "code": st.integers(-2, 9) | st.none(),
    "stay, h": st.integers(0, 10**12).map(lambda microseconds: datetime.timedelta(microseconds=microseconds)),
}
FIRST = {"count": 1, "row": 0.5, "null": True, "day": datetime.date(2020, 5, 5), "text": "b", "code": 3}
TABLES = st.fixed_dictionaries({name: st.lists(cell, min_size=ROWS, max_size=ROWS) for name, cell in CELLS.items()})
DIALECTS = [
    {"separator": ","},
    {"separator": ";", "quote_style": "always", "line_terminator": "\r\n"},
    {"separator": "\t", "quote_style": "non_numeric"},
]
OPTIONS: dict[str, Any] = {"split_column": "part", "types": {"code": "categorical"}}
PARTS = ("train", "val", "test")


def written(folder: Path, columns: dict[str, list[Any]]) -> tuple[polars.DataFrame, list[str]]:
    """Writes a table as Parquet and CSV of three dialects."""
    # A train row has a value of each column.
    frame = polars.DataFrame({name: [FIRST.get(name, values[0]), *values[1:]] for name, values in columns.items()})
    frame = rows_of(frame).with_columns(part=polars.Series(["train"] * 18 + ["val"] * 3 + ["test"] * 3))
    frame.write_parquet(folder / "my.parquet")
    paths = [folder / "my.parquet"]
    days = polars.selectors.duration().cast(polars.Int64) / 86_400e6
    padded = polars.selectors.string().replace("b", "  b ")
    for index, dialect in enumerate(DIALECTS):
        paths.append(folder / f"{index}.csv")
        frame.with_columns(days, padded if index else polars.selectors.string()).write_csv(paths[-1], **dialect)
    return frame, [*map(str, paths)]


def as_pandas_has_it(frame: polars.DataFrame) -> Any:
    """Returns the columns as pandas has them, whole numbers beside a gap as floats, in pandas where it is installed."""
    gaps = polars.col("count", "code").cast(polars.Float64).fill_null(float("nan"))
    columns = {column.name: column.to_list() for column in frame.with_columns(gaps).iter_columns()}
    has_pandas = all(importlib.util.find_spec(name) for name in ("pandas", "pyarrow"))
    return importlib.import_module("pandas").DataFrame(columns) if has_pandas else columns


def as_request(frame: polars.DataFrame) -> Body:
    """Returns the rows as a JSON request to the server."""
    plain = frame.with_columns(
        polars.selectors.duration().cast(polars.Int64) / 86_400e6, polars.selectors.date().cast(polars.String)
    )
    return Body("application/json", json.dumps({"rows": plain.to_dicts()}).encode())


@functools.cache
def trainer_of(folder: Path) -> Trainer:
    return quiet_trainer(callbacks=[PredictionWriter(folder / "predictions.parquet")])


def check_fits_own_predictions(data: DataModule, path: str, folder: Path) -> Predictor:
    """Checks the predictions of test rows that a Trainer records with those of their file; returns the predictor."""
    model = model_for(data, LitLinear, cardinalities=data.cardinalities)
    trainer_of(folder).predict(model, data)
    predictor = Predictor(model, data.inputs, data.class_names)
    check_recorded(folder / "predictions.parquet", predictor.predict(path))
    return predictor


def check_recorded(recorded: Path, predicted: polars.DataFrame) -> None:
    own = polars.read_parquet(recorded)
    same = predicted[own["row"].to_list()]["probability_yes"]
    assert numpy.abs(same.to_numpy() - own["prediction"].to_numpy()).max() < 1e-6


def check_every_format(folder: Path, columns: dict[str, list[Any]], trained: int) -> None:
    """Checks fit on each of four files and streamed, and predict of all forms of the table after one of the fits."""
    frame, paths = written(folder, columns)
    fits = [fitted(Path(path), **OPTIONS) for path in paths]
    expected = train_tensors(fits[0])
    for data in fits[1:]:
        check_equal(train_tensors(data), expected)
    data = fits[trained]
    predictor = check_fits_own_predictions(data, paths[trained], folder)
    request = as_request(frame)
    for source in [*paths, frame, as_pandas_has_it(frame), as_source(read_body(request, data.inputs, 100).value)]:
        check_equal(predict_tensors(data, source), expected)
    (reply,) = Answers(predictor, 100)([request])
    probabilities = [row["probabilities"]["yes"] for row in reply.content["predictions"]]
    assert probabilities == pytest.approx(predictor.predict(frame)["probability_yes"].to_list(), abs=1e-6)
    if not trained:  # a quarter of the tables, for time
        check_streamed(folder, paths[0], expected)


def check_streamed(folder: Path, path: str, expected: dict[str, torch.Tensor]) -> None:
    """Checks that streamed rows have the tensors of rows in memory, up to the order of sums."""
    data = StreamedTable(path, "label", cache=str(folder / "cache"), **OPTIONS)
    data.setup("fit")
    parts = [data.part(name) for name in PARTS]
    streamed = {name: torch.cat([part[name] for part in parts]) for name in ("x", "categories", "row")}
    assert torch.equal(streamed.pop("row"), torch.arange(ROWS))
    check_equal(predict_tensors(data, path), streamed)
    assert torch.equal(streamed["categories"], expected["categories"])
    torch.testing.assert_close(streamed["x"], expected["x"], rtol=1e-4, atol=1e-4)


def check_a_run(folder: Path, columns: dict[str, list[Any]], trained: int) -> None:
    """Checks the predictions that ``fit`` stores in its run with those of ``predict`` and of every other form."""
    frame, paths = written(folder, columns)
    if trained < 4:
        words = ["--data", "TableData", "--data.path", paths[trained]]
    else:
        words = ["--data", "StreamedTable", "--data.path", paths[0], "--data.cache", str(folder / "cache")]
    words += ["--data.target", "label", "--data.split_column", "part", "--data.types.code", "categorical"]
    words += ["--model", "LitLinear", "--trainer.max_epochs", "1", "--figures", "false", "--seed_everything", "0"]
    shutil.rmtree(folder / "runs", ignore_errors=True)
    run = folder / "runs" / "e" / "one"
    assert main(["fit", *words, "--experiment", "e", "--run", "one", "--trainer.default_root_dir", str(folder)]) == 0
    predictor = load(run, "cpu")
    expected = predictor.predict(paths[0])
    check_recorded(run / "predictions.parquet", expected)
    for source in [*paths[1:], frame, as_pandas_has_it(frame)]:
        assert predictor.predict(source).equals(expected)
    output = folder / "out.parquet"
    assert main(["predict", "--ckpt_path", str(run), "--input", paths[trained % 4], "--output", str(output)]) == 0
    assert polars.read_parquet(output).equals(expected)


ALWAYS = settings(deadline=None, derandomize=True)
SLOW = settings(deadline=None)


@pytest.mark.parametrize(
    ("check", "fits", "limits"),
    [
        (check_every_format, 4, settings(ALWAYS, max_examples=40)),
        (check_a_run, 5, settings(ALWAYS, max_examples=3)),
        pytest.param(
            *(check_every_format, 4, settings(SLOW, max_examples=2000)),
            marks=[pytest.mark.slow, pytest.mark.timeout(3600)],
        ),
        pytest.param(
            *(check_a_run, 5, settings(SLOW, max_examples=100)), marks=[pytest.mark.slow, pytest.mark.timeout(1200)]
        ),
    ],
    ids=["tensors", "run", "2000-tensors", "100-runs"],
)
def test_any_table_is_the_same_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, check: Callable[..., None], fits: int, limits: settings
) -> None:
    @limits
    @given(TABLES, st.integers(0, fits - 1))
    def check_drawn(columns: dict[str, list[Any]], trained: int) -> None:
        check(tmp_path_factory.getbasetemp(), columns, trained)

    check_drawn()


GOOD = [f"{row},{'ab'[row % 2]},{LABELS[row]}" for row in range(ROWS)]


@pytest.mark.parametrize(
    "lines",
    [
        ["", "x,c,label", "", *GOOD[:9], "", "   ", *GOOD[9:], "", ""],
        ["x,c,label", *(f' {row} , "{"ab"[row % 2]}",{LABELS[row]}' for row in range(ROWS))],
        ["sep=;", "x;c;label", *(row.replace(",", ";") for row in GOOD)],
        ['x;"c";label', *(row.replace(",", ";") for row in GOOD)],
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_of_every_dialect_has_the_same_rows(tmp_path: Path, lines: list[str], end: str) -> None:
    plain, path = tmp_path / "plain.csv", tmp_path / "my.csv"
    plain.write_text("\n".join(["x,c,label", *GOOD]))
    path.write_bytes(end.join(lines).encode())
    data = fitted(path)
    check_equal(train_tensors(data), train_tensors(fitted(plain)))
    check_equal(predict_tensors(data, str(path)), train_tensors(data))


def test_a_separator_in_a_quoted_name_is_no_separator(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("\n".join(['"height, cm, in";label', *(f"{row};{LABELS[row]}" for row in range(ROWS))]))
    data = fitted(path)
    assert data.columns.number_names == ["height, cm, in"]
    check_equal(predict_tensors(data, str(path)), train_tensors(data))


def test_an_inch_mark_is_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("\n".join(["x,c,label", *(row.replace(",a,", ',pipe 5",') for row in GOOD)]))
    data = fitted(path)
    assert data.columns.levels == [["b", 'pipe 5"']]
    check_equal(predict_tensors(data, str(path)), train_tensors(data))


@pytest.mark.parametrize("blank", [0, 3])
def test_text_behind_a_closing_quote_is_named_with_its_line(tmp_path: Path, blank: int) -> None:
    path, plain = tmp_path / "my.csv", tmp_path / "plain.csv"
    plain.write_text("\n".join(["x,c,label", *GOOD]))
    lines = ["x,c,label", *[""] * blank, *GOOD[:4], r'4,"pipe 5\" and more",no', *GOOD[5:]]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=f"line {6 + blank} has text behind a closing quote; write a quote .* twice"):
        fitted(path)
    chunks = list(fitted(plain).inputs.chunks(str(path)))
    assert polars.concat([chunk.bad for chunk in chunks])["row"].to_list() == [4]
    assert sum(len(chunk.ids) for chunk in chunks) == ROWS - 1


def test_a_packed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["x,c,label", *GOOD]).encode()))
    with pytest.raises(DataError, match="packed by gzip; unpack it"):
        fitted(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("types", [{}, {"zip": "categorical"}])
def test_leading_zeros_are_part_of_a_category(tmp_path: Path, ending: str, types: dict[str, Any]) -> None:
    codes = ["0501", "501", "7", "007"]
    frame = rows_of(polars.DataFrame({"zip": codes * (ROWS // 4), "x": range(ROWS)}))
    path = tmp_path / f"my.{ending}"
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    data = fitted(path, types=types)
    assert data.columns.levels == [sorted(codes)]
    for source in (str(path), frame):
        check_equal(predict_tensors(data, source), train_tensors(data))


def test_numbers_with_leading_zeros_and_fractions_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("\n".join(["x,label", *(f"0{row}.50,{LABELS[row]}" for row in range(ROWS))]))
    assert fitted(path).kinds == {"x": ("numeric", "Float64")}


def test_missing_texts_behind_spaces_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    lines = [f"{row}, {'NA' if row % 5 == 1 else row},{LABELS[row]}" for row in range(ROWS)]
    path.write_text("\n".join(["k, h, label", *lines]))
    data = fitted(path)
    assert data.kinds["h"][0] == "numeric"
    assert inspect(data).columns[1].missing == 5


@pytest.mark.parametrize(
    ("texts", "odd"),
    [
        (["13,0", "14,5"], "13,0"),
        (["1", "2", "3", "4", "5", "None"], "None"),
        (["1,000", "2,500.5"], "1,000"),
        (["5 %", "7%"], "5 %"),
        (["$5", "€7.50"], "$5"),
        (["−3", "-4"], "−3"),
        (["2 March 2021", "13 Apr. 2021"], "2 March 2021"),
        (["Mar 2, 2021", "April 13, 2021"], "Mar 2, 2021"),
    ],
)
def test_numbers_that_are_categories_are_noted(tmp_path: Path, texts: list[str], odd: str) -> None:
    path = tmp_path / "my.csv"
    cells = texts * ROWS
    rows_of(polars.DataFrame({"h": cells[:ROWS], "x": range(ROWS)})).write_csv(path)
    assert any(note.startswith("column h is categorical") and repr(odd) in note for note in fitted(path).notes)
    assert not fitted(path, types={"h": "categorical"}).notes[1:]


def test_dates_that_polars_cannot_read_stop_no_other_column(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    for when in (["26.10.2022", "2022-08-21"], ["2022-10-26 08:30:00 UTC"] * 2, ["08:30", "09:30:00"]):
        path.write_text("\n".join(["x,when,label", *(f"{row},{when[row % 2]},{LABELS[row]}" for row in range(ROWS))]))
        assert fitted(path, drop="when").kinds == {"x": ("numeric", "Int64")}


def test_a_column_without_values_is_missing_at_predict(tmp_path: Path) -> None:
    path, new = tmp_path / "my.csv", tmp_path / "new.parquet"
    path.write_text("\n".join(["x,c,label", *GOOD]))
    data = fitted(path)
    frame = polars.DataFrame({"x": [None] * 3, "c": [None] * 3})
    frame.write_parquet(new)
    (tmp_path / "new.csv").write_text("x,c\n,\n,\n,\n")
    expected = predict_tensors(data, {"x": [data.encoding.medians["x"]] * 3, "c": ["?"] * 3})
    for source in (frame, str(new), str(tmp_path / "new.csv"), {"x": [None] * 3, "c": [None] * 3}):
        check_equal(predict_tensors(data, source), expected)


def test_columns_named_count_and_durations_are_inspected_and_streamed(tmp_path: Path) -> None:
    path = tmp_path / "my.parquet"
    hours = [datetime.timedelta(hours=row) for row in range(ROWS)]
    rows_of(polars.DataFrame({"count": ["a", "b"] * (ROWS // 2), "stay": hours})).write_parquet(path)
    streamed = StreamedTable(str(path), "label", cache=str(tmp_path / "cache"))
    streamed.setup("fit")
    for data in (fitted(path), streamed):
        count, stay = sorted(inspect(data).columns, key=lambda column: column.name)
        assert (count.type, stay.type) == ("categorical", "numeric")
        assert stay.numbers is not None
        assert stay.numbers["max"] <= (ROWS - 1) / 24
