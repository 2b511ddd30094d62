"""Numbers beyond float32 are refused by row: in a file, in Python, by an exported graph and in a request."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from paths import REPOSITORY
from server_process import trained
from wave_series import waves

from datamodules import DataError
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.serve.batching import Answers
from experiments.serve.server_settings import Body

STORED = REPOSITORY / "tests/stored"
RUN = STORED / "run_folders/finished"


def rows() -> polars.DataFrame:
    frame = polars.read_csv(STORED / "new.csv", columns=["length", "width", "colour", "day"])[:6]
    large = {1: 1e39, 3: -4e38, 4: 1e308}
    return frame.with_columns(length=polars.Series([large.get(row, float(row)) for row in range(6)]))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file(tmp_path: Path, ending: str) -> None:
    rows().write_csv(tmp_path / "new.csv")
    rows().write_parquet(tmp_path / "new.parquet")
    words = ("--input", str(tmp_path / f"new.{ending}"), "--output", str(tmp_path / "out.parquet"))
    assert main(["predict", "--ckpt_path", str(RUN), *words]) == 0
    good, bad = (polars.read_parquet(tmp_path / f"out{name}.parquet") for name in ("", ".bad"))
    assert good["row"].to_list() == [0, 2, 5]
    assert bad["row"].to_list() == [1, 3, 4]
    assert all("within float32" in reason for reason in bad["reason"])


def test_python_and_a_request() -> None:
    for predictor in (load(RUN, "cpu"), load_export(STORED / "exports/onnx")):
        with pytest.raises(DataError, match=r"row 1 cannot be predicted: .*within float32"):
            predictor.predict(rows())
        (reply,) = Answers(predictor, 100)([Body("application/json", json.dumps({"rows": rows().to_dicts()}).encode())])
        assert reply.status == 422
        assert [row["row"] for row in reply.content["bad"]] == [1, 3, 4]
        assert all("within float32" in row["reason"] for row in reply.content["bad"])


@pytest.mark.parametrize("window", [(), ("--data.window", "8", "--data.stride", "4")])
def test_series(tmp_path: Path, window: tuple[str, ...]) -> None:
    """A series is listed once, however many of its windows are bad."""
    arrays: dict[str, Any] = waves()
    numpy.savez(tmp_path / "my.npz", **arrays)
    predictor = load(trained(tmp_path, "--data", "SeriesData", "--data.path", str(tmp_path / "my.npz"), *window), "cpu")
    some = [x[:, :length].copy() for x, length in zip(arrays["x"][:5], arrays["lengths"], strict=False)]
    some[2][0, 3:9] = 1e300
    some[4][1, 0] = numpy.inf
    bad = polars.concat([piece.bad for piece in predictor.chunks(some)])
    assert bad["row"].to_list() == [2, 4]
    assert "float32" in bad["reason"][0]
    good = polars.concat([piece.rows for piece in predictor.chunks(some)])
    name = "series" if window else "row"
    whole = predictor.predict([some[index] for index in (0, 1, 3)])
    assert {*good.filter(~polars.col(name).is_in([2]))[name]} == {0, 1, 3}
    assert len(good.filter(polars.col(name) != 2)) == len(whole)


@pytest.mark.parametrize("form", ["series", "arrays"])
def test_values_that_normalization_makes_infinite(tmp_path: Path, form: str) -> None:
    """They are within float32 themselves, and a network may give a finite number for an infinite input."""
    x = numpy.random.default_rng(0).normal(size=(60, 2, 9)) * 1e-20
    x, y = x if form == "series" else x[..., 0], (x[:, 0, 0] > 0).astype(int)
    numpy.savez(tmp_path / "my.npz", x=x, y=y)
    numpy.save(tmp_path / "x.npy", x)
    numpy.save(tmp_path / "y.npy", y)
    words = f"SeriesData --data.path {tmp_path}/my.npz"
    if form == "arrays":
        words = f"StreamedArrays --data.path {tmp_path}/x.npy --data.labels {tmp_path}/y.npy"
    predictor = load(trained(tmp_path, "--data", *words.split()), "cpu")
    some = x[:4].copy()
    some[2].reshape(-1)[1] = 1e30
    (predicted,) = predictor.chunks(some)
    assert predicted.rows["row"].to_list() == [0, 1, 3]
    assert predicted.bad.rows() == [(2, "a value is not within float32, in which the network computes; correct it")]
