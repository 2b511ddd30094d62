"""``evenhand export`` of runs that are out of the ordinary: many test rows, classes of one's own, quantiles."""

import json
from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from exported_runs import finished, numbers, words
from safetensors.torch import load_file

from datamodules import DataError
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

QUICKLY = ("--trainer.max_epochs", "1", "--seed_everything", "0")


def test_a_sample_of_many_test_rows_is_kept(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.run.record.export_samples.MOST_BYTES", 24 * 70)  # two float64 and an id a row
    record = fit("--data", "TinyImbalanced", "--model", "LitMLP", "--model.hidden", "[8]", *QUICKLY)
    assert main(["export", "--trust", "tiny_package", *words(record["path"], tmp_path / "out")]) == 0
    assert "on 70 of 300 test rows" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "signature.json").read_text())["checked"]
    assert about["metrics"]["accuracy"] == pytest.approx(about["metrics_of_run"]["accuracy"], abs=1e-6)
    kept = load_file(record["path"] / "test_rows.safetensors")["row"].tolist()
    recorded = polars.read_parquet(record["path"] / "predictions.parquet")
    mine = recorded.filter(polars.col("row").is_in(kept))
    assert about["metrics"]["accuracy"] == ((mine["prediction"] > 0.5) == (mine["target"] == 1)).mean()
    (record["path"] / "test_rows.safetensors").write_bytes(b"none")
    with pytest.raises(SystemExit):
        main(["export", *words(record["path"], tmp_path / "other")])


@pytest.mark.parametrize("format", ["onnx", "torch-export", "safetensors"])
def test_an_architecture_and_data_of_ones_own(fit: Fit, tmp_path: Path, format: str) -> None:
    data = "TinyRegression" if format == "onnx" else "Tiny"
    record = fit("--data", data, "--model", "LitOwn", *QUICKLY)
    output = tmp_path / "out"
    assert main(["export", "--trust", "tiny_package", *words(record["path"], output, format)]) == 0
    recorded = polars.read_parquet(record["path"] / "predictions.parquet")
    x = torch.linspace(-1, 1, 60).unsqueeze(1) * torch.tensor([[1.0, 2.0, -1.0, 0.5]])
    got = load_export(output, ["tiny_package"]).predict(x[recorded["row"].to_list()].numpy())
    want = recorded.select(polars.col("^prediction.*$")).to_numpy()
    scale = 1000 if data == "TinyRegression" else 1
    assert numpy.abs(numbers(got) - want).max() < 1e-5 * scale


def test_series_of_one_length_for_a_network_that_takes_no_lengths(fit: Fit, tmp_path: Path) -> None:
    draw = numpy.random.default_rng(0)
    x, y = draw.normal(size=(60, 2, 7)), numpy.arange(60) % 3
    numpy.savez(tmp_path / "s.npz", x=x, y=y)
    record = fit("--data", "SeriesData", "--data.path", str(tmp_path / "s.npz"), "--model", "LitOwn", *QUICKLY)
    assert main(["export", "--trust", "tiny_package", *words(record["path"], tmp_path / "out", "torch-export")]) == 0
    exported = load_export(tmp_path / "out")
    assert [one["name"] for one in exported.signature["inputs"]] == ["x"]
    assert len(exported.predict(x)) == 60
    with pytest.raises(DataError, match="takes series of 7 steps alone, and some have less"):
        exported.predict(x[..., :5])


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=pytest.mark.slow), "torch-export"])
def test_quantiles_and_missing_values_are_in_the_graph(format: str, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "table", "LitLinear", "--data.normalize", "quantile")
    assert main(["export", *words(run.path, tmp_path / "out", format)]) == 0
    frame = run.rows.with_columns(income=polars.col("income") * 3, age=polars.lit(None, polars.Int64))
    got, want = (one.predict(frame) for one in (load_export(tmp_path / "out"), load(run.path)))
    assert numpy.abs(numbers(got) - numbers(want)).max() < 1e-6
