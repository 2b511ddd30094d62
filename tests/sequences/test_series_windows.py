"""Windows of series that cannot be predicted: their series is left out as a whole, and listed once."""

from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from wave_series import LONG, as_long, waves

from experiments.inference import load
from experiments.inference.base import Answering

BAD = 17
WINDOWS = ("--data.window", "8", "--data.stride", "4", "--trainer.max_epochs", "1")


def overflowing(run: Path) -> Answering:
    """Returns a predictor whose weights overflow for large values, which themselves are within float32."""
    predictor = load(run, "cpu")
    with torch.no_grad():
        for parameter in predictor.model.parameters():
            parameter.mul_(1e33)
    return predictor


@pytest.mark.parametrize("piece", [4096, 1, 5])
@pytest.mark.parametrize("form", ["npz", "csv"])
def test_a_series_with_one_answer_that_is_not_finite(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, piece: int
) -> None:
    arrays, path = waves(), tmp_path / f"a.{form}"
    source: Any = arrays["x"]
    if form == "npz":
        numpy.savez(path, **arrays)
    else:
        source = as_long(arrays, order=None)
        source.drop("person", "day").write_csv(path)
    options = [word for name, column in LONG.items() for word in (f"--data.{name}", column)] if form == "csv" else []
    run = fit("--data", "SeriesData", "--data.path", str(path), *options, "--model", "LitLinear", *WINDOWS)["path"]
    predictor = overflowing(run)
    whole = predictor.predict(source)
    if form == "npz":
        source = source.copy()
        source[BAD, 1, 9] = 1e9
        source[BAD + 1, 1, 9] = 1e9
    else:
        spiked = polars.col("who").is_in([f"s{BAD}", f"s{BAD + 1}"]) & (polars.col("at") == 4.5)
        source = source.with_columns(c1=polars.when(spiked).then(1e9).otherwise("c1"))
    monkeypatch.setattr("datamodules.sequences.inputs.PIECE", piece)
    predicted = [*predictor.chunks(source)]
    bad, rows = (polars.concat([getattr(one, name) for one in predicted]) for name in ("bad", "rows"))
    assert bad["row"].to_list() == [BAD, BAD + 1]
    assert {*bad["reason"]} == {"the model gives no finite number for it; its values may be too large"}
    names = [BAD, BAD + 1] if form == "npz" else [f"s{BAD}", f"s{BAD + 1}"]
    if form == "csv":
        assert bad["series"].to_list() == names
    others = whole.filter(~polars.col("series").is_in(names))
    assert len(others) < len(whole) - 2
    assert rows.equals(others)
    assert predicted[-1].done == 1.0
