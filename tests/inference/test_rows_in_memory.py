"""``load(run).predict(rows)`` for rows of pandas and of Python: the predictions of the same rows in a file."""

import datetime
import sys
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opinion_texts import opinions
from people_table import people
from tiny_data import QUICK

from datamodules import DataError
from experiments.__main__ import main
from experiments.inference import load
from experiments.inference.predictor import Predictor

WORDS = "--model LitLinear --trainer.max_epochs 1 --seed_everything 0 --figures false --run a"


def trained(root: Path, words: str) -> Predictor:
    """Returns the predictor of a run."""
    main(["fit", *words.split(), *WORDS.split(), "--trainer.default_root_dir", str(root)])
    (run,) = root.glob("runs/*/a")
    return load(run)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("table")
    people(rows=200).write_csv(root / "my.csv")
    return trained(root, f"--data TableData --data.path {root}/my.csv --data.target label --data.drop id")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = tmp_path_factory.mktemp("texts")
    opinions().write_csv(root / "t.csv")
    return trained(root, f"--data TextData --data.path {root}/t.csv --data.text text --data.target label")


class Frame:
    """Frame with the interface of a pandas one that conversion uses, so that it is tested without pandas too."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self._columns = columns
        self.columns, self.iloc = [*columns], None

    def items(self) -> Any:
        return self._columns.items()


ROWS = st.fixed_dictionaries(
    {
        "age": st.none() | st.integers(18, 80),
        "city": st.sampled_from(["Rome", "Oslo", "Lima", "Paris", None]),
        "member": st.booleans(),
        "joined": st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)),
        "income": st.none() | st.floats(-1e6, 1e6),
    }
)


def of_pandas(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows as ``DataFrame.to_dict("records")`` does: NaN where a value is missing, numbers of NumPy."""
    numbers = [{name: numpy.nan if value is None else value for name, value in row.items()} for row in rows]
    return [row | {"income": numpy.float64(row["income"]), "member": numpy.bool_(row["member"])} for row in numbers]


@settings(QUICK, max_examples=20)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_rows_and_columns_of_python_are_predicted_as_a_frame(table: Predictor, rows: list[dict[str, Any]]) -> None:
    schema = {"age": polars.Int64, "city": polars.String, "income": polars.Float64}
    expected = table.predict(polars.DataFrame(rows, schema_overrides=schema))
    pandas_rows = of_pandas(rows)
    columns = {name: [row[name] for row in pandas_rows] for name in rows[0]}
    arrays = {
        **columns,
        "income": numpy.array(columns["income"]),
        "joined": numpy.array(columns["joined"], "datetime64[us]"),
    }
    for source in (rows, tuple(rows), pandas_rows, columns, arrays, Frame(arrays)):
        assert table.predict(source).equals(expected)
    for row in (rows[0], pandas_rows[0]):
        assert numpy.allclose(table.predict(row)[:, 2:], expected[:1, 2:], atol=1e-6)


def test_pandas_needs_no_pyarrow(
    table: Predictor, texts: Predictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = people(30, seed=2)
    expected = table.predict(frame)
    frame.write_csv(tmp_path / "new.csv")
    read = pandas.read_csv(tmp_path / "new.csv", index_col="id")
    typed = read.astype({"age": "Int64", "city": "category", "member": "boolean"})
    dates = read.assign(joined=pandas.to_datetime(read["joined"]))
    for source in (read, typed, dates, dates.to_dict("list"), typed.to_dict("records")):
        assert numpy.allclose(table.predict(source).drop("prediction"), expected.drop("prediction"), atol=1e-6)
    for source in (read.iloc[3], typed.iloc[3], dates.iloc[3], dates.iloc[3].to_dict()):
        assert numpy.allclose(table.predict(source)[:, 2:], expected[3, 2:], atol=1e-6)
    frame = opinions()
    expected = texts.predict(frame)
    read = pandas.DataFrame(frame.to_dict(as_series=False))
    for source in (read, read["text"], read["text"].to_list(), read.to_dict("records")):
        assert texts.predict(source).equals(expected)
    assert texts.predict(read.iloc[0])[:, 1:].equals(expected[:1, 1:])


def test_texts_in_a_series_and_in_dictionaries(texts: Predictor) -> None:
    frame = opinions()
    expected = texts.predict(frame)
    for source in (frame["text"], frame.to_dicts(), {"text": frame["text"]}):
        assert texts.predict(source).equals(expected)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            numpy.zeros((2, 5)),
            "an array of the shape .2, 5. does not name its columns, and the model was trained on age",
        ),
        (torch.zeros(5), "an array of the shape .5,. does not name its columns"),
        ([1, 2], "list is no table"),
        ([], "list is no table"),
        ({"age": 3}, "the frame lacks the columns city, member, joined, income, which the model was trained with"),
        ([{"age": 3}, {"city": "Rome"}], "row 1 has no column age and row 0 has one"),
        ({"age": [1, 2], "city": ["Rome"]}, "the rows are no table: .*height"),
        ({"age": [[1, 2]]}, "row 0 has an array in column age, which is no cell of a table"),
        ([{"age": object()}], "the rows are no table|column age holds|lacks"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(table: Predictor, source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        table.predict(source)
    assert len(str(refused.value).splitlines()) == 1


def test_arrays_are_rows_of_a_run_that_was_trained_on_one(tmp_path: Path) -> None:
    x = numpy.random.default_rng(0).normal(size=(60, 3))
    frame = polars.DataFrame(x, schema=["x0", "x1", "x2"])
    frame.with_columns(y=polars.Series(["no", "yes"] * 30)).write_csv(tmp_path / "my.csv")
    predictor = trained(tmp_path, f"--data TableData --data.path {tmp_path}/my.csv --data.target y")
    x[1, 2] = numpy.nan
    expected = predictor.predict(frame[:4].with_columns(x2=polars.Series([x[0, 2], None, *x[2:4, 2]])))
    for source in (x[:4], torch.tensor(x[:4])):
        assert predictor.predict(source).equals(expected)
    with pytest.raises(
        DataError, match=r"the shape .4, 2. does not name its columns, and the model was trained on x0, x1"
    ):
        predictor.predict(x[:4, :2])
