"""Folders of Parquet files: fit and predict take the same files and columns, and say what they leave out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from high_low_table import table, write

from experiments.__main__ import main

QUICK = ("--model", "LitLinear", "--trainer.max_epochs", "1", "--seed_everything", "0")


@pytest.fixture
def streamed(fit: Fit, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Fits on a folder, and checks that predict on it gives the predictions that fit recorded."""

    def run(folder: Path, *words: str, target: str = "label") -> dict[str, Any]:
        data = ("--data", "StreamedTable", "--data.path", str(folder), "--data.target", target)
        record = fit(*data, "--data.cache", str(tmp_path / "cache"), *words, *QUICK)
        output = tmp_path / "out.parquet"
        assert (
            main(["predict", "--ckpt_path", str(record["path"]), "--input", str(folder), "--output", str(output)]) == 0
        )
        predicted = polars.read_parquet(output)
        assert len(predicted) == sum(record["rows"].values())
        recorded = polars.read_parquet(record["path"] / "predictions.parquet")
        names = [name for name in recorded.columns if name.startswith("prediction")]
        same = predicted[recorded["row"].to_list()]
        probability = same.select(polars.selectors.starts_with("probability_")).to_numpy()
        expected = recorded.select(names).to_numpy()
        assert numpy.abs(probability[:, -expected.shape[1] :] - expected).max() < 1e-6
        return record | {"columns": [each["name"] for each in json.loads(
            (record["path"] / "inspection.json").read_text())["columns"]]}  # fmt: skip

    return run


def notes(record: dict[str, Any], word: str) -> list[str]:
    return [note for note in record["notes"] if word in note]


@pytest.mark.parametrize(("values", "dtype"), [(("1", "2"), "numeric"), (("Rome", "S%C3%A3o"), "categorical")])
def test_columns_that_folders_name_are_used(
    streamed: Callable[..., Any], tmp_path: Path, values: tuple[str, str], dtype: str
) -> None:
    for index, value in enumerate(values):
        write(table(40, index), tmp_path / "rows" / f"a={value}" / "b=x" / "part.parquet")
    record = streamed(tmp_path / "rows")
    assert record["columns"][:2] == ["x", "z"]
    assert {*record["columns"]} == {"x", "z", "a", "b"}
    assert notes(record, "columns from the names of folders") == [
        f"columns from the names of folders in {tmp_path / 'rows'}: a, b"
    ]
    inspection = json.loads((record["path"] / "inspection.json").read_text())
    (column,) = [each for each in inspection["columns"] if each["name"] == "a"]
    assert (column["type"], column["different"]) == (dtype, 2)
    if dtype == "categorical":
        assert column["most_frequent"][0] in {"Rome", "São"}


def test_a_folder_may_name_the_target_or_the_split(streamed: Callable[..., Any], tmp_path: Path) -> None:
    for label in ("high", "low"):
        for part, rows in {"train": 40, "val": 10, "test": 10}.items():
            own = table(200).filter(label=label).drop("label")[:rows]
            write(own, tmp_path / "rows" / f"label={label}" / f"part={part}" / "0.parquet")
    record = streamed(tmp_path / "rows", "--data.split_column", "part")
    assert record["rows"] == {"train": 80, "val": 20, "test": 20}


def test_folders_of_val_and_test_have_the_types_of_train_rows(
    fit: Fit, refused: Callable[..., str], tmp_path: Path
) -> None:
    data = ["--data", "StreamedTable", "--data.path", str(tmp_path / "a"), "--data.target", "label"]
    data += ["--data.test_path", str(tmp_path / "b"), "--data.cache", str(tmp_path / "cache")]
    for code in ("1", "2", "x"):
        write(table(30), tmp_path / "a" / f"code={code}" / "0.parquet")
    write(table(20, 1), tmp_path / "b" / "code=1" / "0.parquet")
    assert fit(*data, *QUICK)["rows"]["test"] == 20
    (tmp_path / "a/code=x").rename(tmp_path / "a/code=3")
    (tmp_path / "b/code=1").rename(tmp_path / "b/code=x")
    shutil.rmtree(tmp_path / "runs")
    assert "folder code=x of" in refused(*data, *QUICK)


def test_files_outside_of_such_folders_are_named(refused: Callable[..., str], tmp_path: Path) -> None:
    write(table(40), tmp_path / "rows" / "a=1" / "0.parquet")
    write(table(40), tmp_path / "rows" / "1.parquet")
    message = refused("--data", "StreamedTable", "--data.path", str(tmp_path / "rows"), "--data.target", "label")
    assert "is not in folders of the same columns as" in message


def test_hidden_files_and_those_of_spark_are_left_out_with_a_note(streamed: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    for name in ("part[1]*.PARQUET", "part?.parquet", "b/part.parquet"):
        write(table(40, len(name)), folder / name)
    assert not notes(streamed(folder), "not read in")
    for name in (".part.parquet", "_temporary/0/part.parquet", "_delta_log/1.checkpoint.parquet", "b/_x.parquet"):
        write(polars.DataFrame({"other": [1]}), folder / name)
    (folder / "_SUCCESS").touch()
    record = streamed(folder)
    assert sum(record["rows"].values()) == 120
    (note,) = notes(record, "not read in")
    assert note.startswith(f"not read in {folder}: 5 hidden or other files or folders: ")


@pytest.mark.parametrize("names", [("train/0", "val/0", "test/0"), ("train-0", "test-0"), ("Training", "dev")])
@pytest.mark.parametrize("data", ["StreamedTable", "TableData"])
def test_splits_are_not_mixed_into_one_table(
    refused: Callable[..., str], tmp_path: Path, names: tuple[str, ...], data: str
) -> None:
    for index, name in enumerate(names):
        write(table(40, index), tmp_path / "rows" / f"{name}.parquet")
    message = refused("--data", data, "--data.path", str(tmp_path / "rows"), "--data.target", "label")
    assert "look like splits" in message
    assert "--data.val_path" in message


def test_a_folder_is_a_table_in_memory_too(fit: Fit, tmp_path: Path) -> None:
    for index in range(3):
        write(table(40, index), tmp_path / "rows" / f"code={index}" / "0.parquet")
    record = fit("--data", "TableData", "--data.path", str(tmp_path / "rows"), "--data.target", "label", *QUICK)
    assert sum(record["rows"].values()) == 120
