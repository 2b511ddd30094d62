"""Targets and values of streamed data are read as in memory, by the train rows, and refused with column and row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit

from datamodules import DataError, StreamedArrays, StreamedTable, TableData
from experiments.inference import load

ROWS = 60
DRAW = numpy.random.default_rng(0)
X = DRAW.normal(size=(ROWS, 3))
CLASS = numpy.arange(ROWS) % 3
QUICK = ("--model", "LitLinear", "--trainer.max_epochs", "1")


def write(columns: dict[str, Any], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    polars.DataFrame({"x": X[:, 0], **columns}).write_parquet(path)
    return str(path)


def one_hot(classes: int = 3) -> dict[str, Any]:
    return {name: (index == CLASS % classes).astype(int) for index, name in enumerate("abc"[:classes])}


TARGETS: dict[str, dict[str, Any]] = {
    "float-integers": {"y": CLASS * 10.0},
    "negative integers": {"y": CLASS - 1},
    "two values": {"y": (CLASS > 0) * 0.5},
    "truth values": {"y": CLASS > 0},
    "texts": {"y": numpy.array(["a", "b", "c"])[CLASS]},
    "many integers": {"y": numpy.arange(ROWS) % 30},
    "numbers": {"y": X[:, 1]},
    "one-hot": one_hot(),
    "one-hot of two": one_hot(2),
    "one-hot of floats": {name: values.astype(float) for name, values in one_hot().items()},
    "labels": {"a": CLASS % 2, "b": CLASS // 2},
    "several numbers": {"a": X[:, 1], "b": CLASS},
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_are_those_of_a_table_in_memory(tmp_path: Path, case: str) -> None:
    path, target = write(TARGETS[case], tmp_path / "my.parquet"), [*TARGETS[case]]
    ours = StreamedTable(path, target, cache=str(tmp_path / "cache"))
    theirs = TableData(path, target, stratify=False)
    for name in ("task", "num_outputs", "class_names", "target_names"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for data in (ours, theirs):
        data.setup("fit")
    y = numpy.concatenate([ours.part(part)["y"].numpy() for part in ("train", "val", "test")])
    row = numpy.concatenate([ours.part(part)["row"].numpy() for part in ("train", "val", "test")])
    assert numpy.array_equal(y[row.argsort()], theirs.rows.y.numpy())
    asking = [note for note in theirs.notes if "--data.task" in note]
    assert [note for note in ours.notes if "--data.task" in note] == asking


ARRAYS: dict[str, tuple[Any, str, int]] = {
    "float-integers": (CLASS * 1.0, "multiclass", 3),
    "half precision": ((CLASS * 10).astype(numpy.float16), "multiclass", 3),
    "two values": ((CLASS > 0) * 1.0, "binary", 1),
    "truth values": (CLASS > 0, "binary", 1),
    "one-hot": (numpy.eye(3)[CLASS], "multiclass", 3),
    "one-hot of bytes": (numpy.eye(2, dtype=numpy.uint8)[CLASS % 2], "binary", 1),
    "labels": (numpy.stack([CLASS == 0, CLASS > 0, CLASS > 1], axis=1) * 1.0, "multilabel", 3),
    "numbers": (X[:, 1].astype(numpy.float32), "regression", 1),
    "several numbers": (X[:, 1:], "regression", 2),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_targets_in_arrays_are_those_of_a_table_in_memory(fit: Fit, tmp_path: Path, case: str) -> None:
    y, task, outputs = ARRAYS[case]
    numpy.save(tmp_path / "x.npy", X)
    numpy.save(tmp_path / "y.npy", y)
    paths = {"path": str(tmp_path / "x.npy"), "labels": str(tmp_path / "y.npy")}
    data = StreamedArrays(**paths)
    assert (data.task, data.num_outputs) == (task, outputs)
    columns = {str(index): column for index, column in enumerate(y.reshape(ROWS, -1).astype(float).T)}
    theirs = TableData(write(columns, tmp_path / "my.parquet"), [*columns], stratify=False)
    assert data.task == theirs.task
    assert data.class_names == theirs.class_names
    data.setup("fit")
    for part in ("train", "val", "test"):
        batch = data.part(part)
        expected = theirs.rows.y[batch["row"]]
        assert numpy.allclose(batch["y"].numpy().reshape(expected.shape), expected.numpy())
    words = ["--data", "StreamedArrays", "--data.path", paths["path"], "--data.labels", paths["labels"], *QUICK]
    assert fit(*words)["rows"] == data.part_rows()


def test_the_task_of_arrays_can_be_named(tmp_path: Path) -> None:
    numpy.save(tmp_path / "x.npy", X)
    numpy.save(tmp_path / "y.npy", CLASS * 10.0)
    numpy.save(tmp_path / "hot.npy", numpy.eye(3)[CLASS])
    data = StreamedArrays(str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), task="regression")
    assert (data.task, data.class_names) == ("regression", ())
    assert data.part_rows()
    labels = StreamedArrays(str(tmp_path / "x.npy"), str(tmp_path / "hot.npy"), task="multilabel")
    assert (labels.task, labels.num_outputs) == ("multilabel", 3)


LATER: dict[str, tuple[list[Any], list[Any], str]] = {
    "another class": (["a", "b"], ["a", "c"], "target y is 'c' in row 1, a class that no train row has"),
    "a fraction among classes": ([0.0, 1.0, 2.0], [1.0, 0.5, 2.0], "target y is 0.5 in row 1"),
    "a missing target": (["a", "b"], ["a", None], "target y is missing in"),
}


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("case", LATER)
def test_the_task_is_that_of_the_train_rows(
    refused: Callable[..., str], tmp_path: Path, case: str, by_column: bool
) -> None:
    train, test, message = LATER[case]
    train_frame = polars.DataFrame({"x": X[:, 0], "y": train * (ROWS // len(train)), "part": ["train"] * ROWS})
    test_frame = polars.DataFrame({"x": X[:18, 0], "y": test * (18 // len(test)), "part": ["test"] * 18})
    words = ["--data", "StreamedTable", "--data.target", "y", "--data.path", str(tmp_path / "train.parquet")]
    words += ["--data.cache", str(tmp_path / "cache")]
    if by_column:
        polars.concat([test_frame, train_frame]).write_parquet(tmp_path / "train.parquet")
        words += ["--data.split_column", "part"]
    else:
        train_frame.drop("part").write_parquet(tmp_path / "train.parquet")
        test_frame.drop("part").write_parquet(tmp_path / "test.parquet")
        words += ["--data.test_path", str(tmp_path / "test.parquet")]
    assert message in refused(*words, *QUICK)


@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize("value", [1e39, -3e300])
def test_values_beyond_float32_are_refused_with_column_and_row(
    refused: Callable[..., str], tmp_path: Path, column: str, value: float
) -> None:
    frame = polars.DataFrame({"x": X[:, 0], "y": X[:, 1]}).with_row_index()
    frame = frame.with_columns(polars.when(polars.col("index") == 7).then(value).otherwise(column).alias(column))
    frame.drop("index").write_parquet(tmp_path / "my.parquet")
    data = ["--data.path", str(tmp_path / "my.parquet"), "--data.target", "y", "--data.cache", str(tmp_path / "cache")]
    message = refused("--data", "StreamedTable", *data, *QUICK)
    assert f"column {column} has 1 values beyond float32" in message
    assert "row 7" in message


@pytest.mark.parametrize("file", ["x", "y"])
@pytest.mark.parametrize(("value", "reason"), [(1e39, "beyond float32"), (numpy.nan, "NaN or infinite")])
def test_values_of_arrays_that_no_network_computes_with_are_refused_with_their_row(
    refused: Callable[..., str], tmp_path: Path, file: str, value: float, reason: str
) -> None:
    arrays = {"x": X.copy(), "y": X[:, 1].copy()}
    arrays[file][41] = value
    for name, array in arrays.items():
        numpy.save(tmp_path / f"{name}.npy", array)
    paths = ["--data.path", str(tmp_path / "x.npy"), "--data.labels", str(tmp_path / "y.npy")]
    message = refused("--data", "StreamedArrays", *paths, *QUICK)
    assert f"{file}.npy has" in message
    assert reason in message
    assert "the first in row 41" in message


def test_rows_of_arrays_beyond_float32_are_refused_by_predict(fit: Fit, tmp_path: Path) -> None:
    for name, array in {"x": X, "y": X[:, 1]}.items():
        numpy.save(tmp_path / f"{name}.npy", array)
    paths = ["--data.path", str(tmp_path / "x.npy"), "--data.labels", str(tmp_path / "y.npy")]
    predictor = load(fit("--data", "StreamedArrays", *paths, *QUICK)["path"])
    new = numpy.where(numpy.arange(ROWS)[:, None] == 5, 1e39, X)
    numpy.save(tmp_path / "new.npy", new)
    for source in (str(tmp_path / "new.npy"), new):
        (predicted,) = predictor.chunks(source)
        assert predicted.bad["row"].to_list() == [5]
        assert "beyond float32" in predicted.bad["reason"][0]


def test_whole_floats_that_are_typed_as_categories_are_whole_numbers(tmp_path: Path) -> None:
    path = write({"code": CLASS * 1.0, "half": CLASS / 2, "y": CLASS % 2}, tmp_path / "my.parquet")
    types = dict.fromkeys(("code", "half"), "categorical")
    data = StreamedTable(path, "y", types=types, cache=str(tmp_path / "cache"))
    data.setup("fit")
    assert data.encoding.categories == {"code": ["0", "1", "2"], "half": ["0.0", "0.5", "1.0"]}
    assert data.kinds["code"] == ("categorical", "Int64")
    again = StreamedTable(path, "y", types=types, cache=str(tmp_path / "cache"))
    assert again.kinds == data.kinds


@pytest.mark.parametrize("data", ["StreamedTable", "StreamedArrays"])
def test_copies_cannot_be_dropped(refused: Callable[..., str], tmp_path: Path, data: str) -> None:
    words = {"StreamedTable": ["--data.target", "y"], "StreamedArrays": ["--data.labels", "y.npy"]}[data]
    path = write({"y": CLASS}, tmp_path / "my.parquet")
    message = refused("--data", data, "--data.path", path, *words, "--data.duplicates", "drop", *QUICK)
    assert "leave --data.duplicates drop out" in message


def test_the_notes_are_those_of_a_table_in_memory(tmp_path: Path) -> None:
    columns = {"h": ["13,0", "14,5", "15,1"] * (ROWS // 3), "one": [4.5] * ROWS, "__index_level_0__": range(ROWS)}
    path = write({**columns, "y": CLASS % 2}, tmp_path / "my.parquet")
    data = StreamedTable(path, "y", cache=str(tmp_path / "cache"))
    data.setup("fit")
    beginnings = ("column h is categorical", "the same in all train rows", "left out, as the index of a pandas frame")
    assert all(any(note.startswith(beginning) for note in data.notes) for beginning in beginnings)
    theirs = TableData(path, "y", duplicates="ignore").notes
    assert {note[:60] for note in theirs} <= {note[:60] for note in data.notes}  # the example is of other rows
    typed = StreamedTable(path, "y", types={"h": "categorical"}, cache=str(tmp_path / "cache"))
    assert not any("column h" in note for note in typed.notes)


def test_an_unknown_label_is_named(tmp_path: Path) -> None:
    write(one_hot(), tmp_path / "a.parquet")
    two = {name: [1] * ROWS for name in "abc"}
    write(two, tmp_path / "b.parquet")
    with pytest.raises(DataError, match="with a single 1 a row, and row 0 has other values"):
        StreamedTable(
            str(tmp_path / "a.parquet"), ["a", "b", "c"], test_path=str(tmp_path / "b.parquet"), cache=str(tmp_path)
        )
