"""Names of files and folders with glob characters: taken literally at fit and at predict, whatever files are beside."""

from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from digit_images import digits, write_folder
from high_low_table import table, write
from wave_series import waves

from datamodules import TableData
from experiments.__main__ import main
from experiments.inference import predict_file

NAMES = ("a[1]", "a*", "a?", "a[!x]", "{a,b}", "**")
QUICK = ("--model", "LitLinear", "--trainer.max_epochs", "1")


def rows_predicted(run: Path, source: str, output: Path) -> int:
    assert main(["predict", "--ckpt_path", str(run), "--input", source, "--output", str(output)]) == 0
    return len(polars.read_parquet(output.read_bytes()))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables(fit: Fit, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a1", "ab", "b", "a"):  # what the patterns would find
        write(table(90), tmp_path / "data" / f"{name}.{ending}")
        write(table(90), tmp_path / name / f"new.{ending}")
    for name in NAMES:
        train = write(table(60), tmp_path / name / f"{name}.{ending}")
        assert sum(TableData(train, "label").part_rows().values()) == 60
    run = fit("--data", "TableData", "--data.path", train, "--data.target", "label", *QUICK)["path"]
    output = tmp_path / "out[1]*.parquet"
    for rows, name in enumerate(NAMES, start=11):
        new = write(table(rows), tmp_path / "data" / f"{name}.{ending}")
        assert rows_predicted(run, new, output) == rows
        assert rows_predicted(run, write(table(rows), tmp_path / name / f"new.{ending}"), output) == rows
    monkeypatch.setattr(predict_file, "PART", 1)  # several parts
    monkeypatch.setattr("datamodules.tables.table_source.CELLS", 10)
    monkeypatch.setattr("datamodules.tables.csv_file.BLOCK", 100)
    assert rows_predicted(run, new, output) == rows


def test_streamed_tables(fit: Fit, tmp_path: Path) -> None:
    for name in ("a1", "ab"):
        write(table(90), tmp_path / name / "b1.parquet")
    for name in NAMES[:2]:
        folder = tmp_path / name
        for number in range(2):
            write(table(40, number), folder / f"b[{number}]*.parquet")
        record = fit("--data", "StreamedTable", "--data.path", str(folder), "--data.target", "label", *QUICK)
        assert sum(record["rows"].values()) == 80


def test_folders_and_arrays(fit: Fit, tmp_path: Path) -> None:
    x, y = digits(60)
    for name in NAMES[:2]:
        images = write_folder(tmp_path / "images" / name, x, y)
        run = fit("--data", "ImageData", "--data.path", images, *QUICK)["path"]
        assert rows_predicted(run, images, tmp_path / "out.parquet") == 60
        arrays: dict[str, Any] = waves()
        series = tmp_path / "images" / f"{name}.npz"
        numpy.savez(series, **arrays)
        run = fit("--data", "SeriesData", "--data.path", str(series), *QUICK)["path"]
        assert rows_predicted(run, str(series), tmp_path / "out.parquet") == 60
