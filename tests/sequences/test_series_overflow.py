"""Values of series beyond float32: refused in fit with the series or its line, and at predict for that series alone."""

from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from conftest import Fit
from wave_series import LONG, as_long, as_ts, waves

from datamodules import DataError
from experiments.__main__ import main
from experiments.inference import load

ROW = 17


@pytest.fixture(params=[1e39, -1e300, numpy.inf])
def arrays(request: pytest.FixtureRequest) -> dict[str, numpy.ndarray]:
    made = waves()
    made["x"][ROW, 1, 3] = request.param
    return made


def write(path: Path, arrays: dict[str, numpy.ndarray]) -> str:
    match path.suffix:
        case ".npz":
            numpy.savez(path, **arrays)
        case ".ts":
            path.write_text(as_ts(arrays))
        case ".csv":
            as_long(arrays).drop("person", "day").write_csv(path)
    return str(path)


def options(form: str) -> list[str]:
    return [word for name, column in LONG.items() for word in (f"--data.{name}", column)] if form == "csv" else []


@pytest.mark.parametrize(("form", "row"), [("npz", "series 17"), ("ts", "line 22"), ("csv", "column c1")])
def test_fit_names_the_series(refused: Any, tmp_path: Path, arrays: dict[str, Any], form: str, row: str) -> None:
    path = write(tmp_path / f"huge.{form}", arrays)
    message = refused("--data", "SeriesData", "--data.path", path, *options(form), "--model", "LitLinear")
    assert len(message.splitlines()) == 1
    assert "infinite" in message or "beyond float32" in message
    assert row in message


@pytest.mark.parametrize("form", ["npz", "ts", "csv"])
def test_predict_leaves_out_that_series_alone(fit: Fit, tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"good.{form}", waves())
    words = ("--data", "SeriesData", "--data.path", path, *options(form), "--model", "LitLinear")
    run = fit(*words, "--trainer.max_epochs", "1")["path"]
    for value in (1e39, -1e300, -numpy.inf):
        arrays = waves()
        arrays["x"][ROW, 1, 3] = value
        bad = write(tmp_path / f"bad.{form}", arrays)
        assert main(["predict", "--ckpt_path", str(run), "--input", bad, "--output", str(tmp_path / "out.csv")]) == 0
        assert polars.read_csv(tmp_path / "out.csv")["row"].to_list() == [row for row in range(60) if row != ROW]
        left_out = polars.read_csv(tmp_path / "out.bad.csv")
        assert left_out["row"].to_list() == [ROW]
        assert "beyond float32" in left_out["reason"][0]
        if form == "npz":
            with pytest.raises(DataError, match=r"row 17 cannot be predicted: .*beyond float32"):
                load(run).predict(arrays["x"])


def test_values_behind_the_end_of_a_series_do_not_count(fit: Fit, tmp_path: Path) -> None:
    arrays = waves()
    for x, length in zip(arrays["x"], arrays["lengths"], strict=True):
        x[:, length:] = 1e300
    fit(
        "--data",
        "SeriesData",
        "--data.path",
        write(tmp_path / "a.npz", arrays),
        "--model",
        "LitLinear",
        "--trainer.max_epochs",
        "1",
    )
