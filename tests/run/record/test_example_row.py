"""The test row that a run keeps for the page of ``evenhand serve`` is one of the data, as a request takes it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import digits, write_npz
from opinion_texts import opinions
from people_table import people
from wave_series import LONG, as_long, waves

from datamodules import DataError
from experiments.__main__ import main
from experiments.inference import load
from experiments.run.record import example_row
from experiments.run.record.example_row import read_example, read_ranges
from experiments.serve.load_predictor import open_answers
from experiments.serve.server_settings import Settings

QUICK = ("--trainer.max_epochs", "1", "--figures", "false", "--model", "LitLinear")


def table(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    people(60).write_csv(folder / "my.csv")
    return ["TableData", "--data.path", str(folder / "my.csv"), "--data.target", "label", "--data.drop", "id"], dict


def images(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    return ["ImageData", "--data.path", write_npz(folder / "my.npz", *digits())], base64.b64decode


def series(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    numpy.savez(folder / "my.npz", **waves())
    return ["SeriesData", "--data.path", str(folder / "my.npz")], numpy.array


def long_form(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    as_long(waves()).write_csv(folder / "my.csv")
    options = [word for name, column in LONG.items() for word in (f"--data.{name}", column)]
    return ["SeriesData", "--data.path", str(folder / "my.csv"), *options, "--data.drop", "[person,day]"], numpy.array


def texts(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    opinions().write_csv(folder / "my.csv")
    return ["TextData", "--data.path", str(folder / "my.csv"), "--data.text", "text", "--data.target", "label"], str


def arrays(folder: Path) -> tuple[list[str], Callable[[Any], Any]]:
    return ["Tiny", "--trust", "tiny_package"], numpy.array


@pytest.mark.parametrize("write", [table, images, series, long_form, texts, arrays])
def test_the_example_is_predicted_as_the_test_row_was(write: Callable[..., Any], fit: Fit, tmp_path: Path) -> None:
    data, source = write(tmp_path)
    run = fit("--data", *data, *QUICK)["path"]
    example = json.loads((run / "example.json").read_text())
    recorded = polars.read_parquet(run / "predictions.parquet").row(0, named=True)
    assert example["row"] == recorded.pop("row")
    trust = ["tiny_package"] if write is arrays else []
    predicted = load(run, "cpu", trust).predict([source(example["values"])] if write is not arrays
                                                else source([example["values"]]))  # fmt: skip
    chances = [value for name, value in predicted.row(0, named=True).items() if name.startswith("probability")]
    expected = [value for name, value in recorded.items() if name.startswith("prediction")]
    assert (chances[1:] if len(expected) == 1 else chances) == pytest.approx(expected, abs=1e-6)


def test_the_example_of_a_table_and_its_ranges_are_those_of_the_file(fit: Fit, tmp_path: Path) -> None:
    data, _ = table(tmp_path)
    run = fit("--data", *data, *QUICK)["path"]
    frame = polars.read_csv(tmp_path / "my.csv")
    example = read_example(run)
    assert example["values"] == frame.drop("id", "label").row(example["row"], named=True)
    split = polars.read_parquet(run / "split.parquet")
    train = frame[split.filter(polars.col("part") == "train")["row"]]
    assert read_ranges(run) == {
        name: [train[name].min(), train[name].max()] for name in ("age", "joined", "income")
    }  # fmt: skip


def test_an_export_and_the_server_have_the_example_too(fit: Fit, tmp_path: Path) -> None:
    data, _ = table(tmp_path)
    record = fit("--data", *data, *QUICK, "--run", "a")
    run, output = record["path"], tmp_path / "out"
    assert main(["export", "--ckpt_path", str(run), "--format", "safetensors", "--output", str(output)]) == 0
    example = read_example(run) | {"ranges": read_ranges(run)}
    assert {*example} == {"row", "values", "ranges"}
    name = {"name": "tabledata/a", "rank_by": "test/accuracy"}
    for path, about in ((run, {**name, "data": "TableData my.csv"}), (output, {**name, "data": "TableData"})):
        _, facts = open_answers(Settings((str(path),), "cpu"))
        assert facts["example"] == example
        assert facts["metrics"] == pytest.approx(record["metrics"])
        if path == output:
            signature = json.loads((output / "signature.json").read_text())
            assert facts["run"].pop("intervals") == signature["run"]["intervals"]
            assert "example.json" in signature["files"]
        assert facts["run"] == about
    _, facts = open_answers(Settings((str(run / "checkpoints" / "last.ckpt"),), "cpu"))
    assert facts["metrics"] == {}  # the test was of best.ckpt
    (output / "example.json").write_text("{}")
    with pytest.raises(SystemExit):
        main(["export", "--verify", str(output)])


def test_neither_a_large_row_nor_one_that_cannot_be_had_stops_a_run(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = table(tmp_path)
    monkeypatch.setattr(example_row, "MOST_BYTES", 20)
    record = fit("--data", *data, *QUICK, "--run", "large")
    assert not (record["path"] / "example.json").exists()
    assert record["notes"] == []

    def fail(*_: Any) -> None:
        raise DataError("the file\nis gone")

    monkeypatch.setattr("datamodules.tables.inputs.TableInputs.request_row", fail)
    record = fit("--data", *data, *QUICK, "--run", "gone")
    assert record["status"] == "finished"
    assert record["notes"] == ["no test row was kept for the page of evenhand serve: the file is gone"]


@pytest.mark.parametrize("content", ["", "[]", '{"values": 1', "[" * 100_000, "\udcff"])
def test_a_damaged_example_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "example.json").write_bytes(content.encode(errors="surrogateescape"))
    (tmp_path / "inspection.json").write_bytes(content.encode(errors="surrogateescape"))
    assert read_example(tmp_path) == read_ranges(tmp_path) == {}


def test_numbers_that_json_has_not_are_missing(tmp_path: Path) -> None:
    (tmp_path / "example.json").write_text('{"values": {"a": NaN, "b": 1e999, "c": 2.5}}')
    assert read_example(tmp_path) == {"values": {"a": None, "b": None, "c": 2.5}}
    (tmp_path / "inspection.json").write_text('{"columns": [{"name": "a", "numbers": {"min": 1, "max": Infinity}}, 3]}')
    assert read_ranges(tmp_path) == {}
