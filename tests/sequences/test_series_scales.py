"""Series whose scales differ by orders of magnitude, from inspect and the choice of a model to an export."""

import json
from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from scaled_series import scaled_series, write_scaled_series
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

CNN = ["--model", "LitCNN", "--model.channels", "[16,16]", "--seed_everything", "0", "--data.batch_size", "16"]
RATE = ["--model.optimizer.lr", "0.01"]
SERIES = ["--data.normalize", "series"]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return write_scaled_series(tmp_path / "series.npz")


def test_a_network_learns_series_of_every_scale(fit: Fit, words: list[str], tmp_path: Path) -> None:
    short = [*words, *CNN, *RATE, "--trainer.max_epochs", "8"]
    assert fit(*short, "--data.normalize", "standard")["metrics"]["test/accuracy"] < 0.6
    record = fit(*short, *SERIES)
    assert record["metrics"]["test/accuracy"] > 0.9
    assert record["hyperparameters"]["data.normalize"] == "series"
    # The same from a file, arrays, one series alone and an exported graph.
    predictor, arrays = load(record["path"]), scaled_series()
    recorded = polars.read_parquet(record["path"] / "predictions.parquet").sort("row")
    rows = recorded["row"].to_list()
    series = [arrays["x"][row][:, : arrays["lengths"][row]] for row in range(len(arrays["y"]))]
    expected = recorded.select("^prediction_.*$").to_numpy()
    for found in (predictor.predict(tmp_path / "series.npz"), predictor.predict(series)):
        probabilities = found[rows].select("^probability.*$").to_numpy()
        assert numpy.abs(probabilities - expected).max() < 1e-5
    alone = predictor.predict(series[rows[0] : rows[0] + 1]).select("^probability.*$").to_numpy()
    assert numpy.abs(alone - expected[:1]).max() < 1e-5
    output = str(tmp_path / "graph")
    assert main(["export", "--ckpt_path", str(record["path"]), "--format", "onnx", "--output", output]) == 0
    exported = load_export(output).predict(series)[rows].select("^probability.*$").to_numpy()
    assert numpy.abs(exported - expected).max() < 1e-5


def test_a_resumed_run_is_the_uninterrupted_one(fit: Fit, words: list[str], root: Path) -> None:
    words = [*words, "--model.schedule", "null"]
    every = [*words, *CNN, *SERIES, "--figures", "false", "--trainer.default_root_dir", str(root)]
    whole = fit(*words, *CNN, *SERIES, "--run", "whole", "--trainer.max_epochs", "3")["path"]
    parts = fit(*words, *CNN, *SERIES, "--run", "parts", "--trainer.max_epochs", "1")["path"]
    assert main(["fit", *every, "--run", "parts", "--trainer.max_epochs", "3"]) == 0
    one, other = (torch.load(path / "checkpoints/last.ckpt", weights_only=True) for path in (whole, parts))
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


def test_another_normalization_is_refused_on_resume(
    fit: Fit, words: list[str], root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(*words, "--model", "LitLinear", "--run", "own", *SERIES, "--trainer.max_epochs", "1")
    again = ["--data.normalize", "standard", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(root)]
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *words, "--model", "LitLinear", "--run", "own", *again])
    assert stopped.value.code == 2
    assert "Traceback" not in capfd.readouterr().err


def test_inspect_says_the_spread(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *words]) == 0
    output = " ".join(capfd.readouterr().out.split())
    arrays = scaled_series()
    deviations = [x[0, :steps].std() for x, steps in zip(arrays["x"], arrays["lengths"], strict=True)]
    low, high = numpy.quantile(deviations, [0.1, 0.9])
    words_of = output.partition("10 % to their 90 % quantile: ")[2].split()
    assert float(words_of[0]) == pytest.approx(low, rel=0.5), "of the train rows alone"
    assert float(words_of[2].rstrip(";")) == pytest.approx(high, rel=0.5)
    assert "--data.normalize series normalizes each by itself" in output
    assert main(["inspect", *words, *SERIES]) == 0
    output = capfd.readouterr().out
    assert "quantile:" in output
    assert "by itself" not in output


def test_the_choice_without_a_model_normalizes_each_series(
    fit: Fit, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = fit(*words, "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["data.normalize"] == "series"
    assert "each normalized by itself since their scales differ widely" in capfd.readouterr().out
    arrays = scaled_series()
    alike = arrays["x"] / numpy.maximum(arrays["x"].std(axis=2, keepdims=True), 1e-9)
    numpy.savez(tmp_path / "alike.npz", **arrays | {"x": alike})
    record = fit("--data", "SeriesData", "--data.path", str(tmp_path / "alike.npz"), "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["data.normalize"] == "standard"
    assert "by itself" not in capfd.readouterr().out


def test_a_few_series_are_learned_by_heart(fit: Fit, tmp_path: Path) -> None:
    arrays = scaled_series(30)
    part = numpy.array((["train"] * 8 + ["val", "test"]) * 3)
    numpy.savez(tmp_path / "few.npz", **arrays, part=part)
    words = ["--data", "SeriesData", "--data.path", str(tmp_path / "few.npz"), "--data.split_column", "part", *CNN]
    record = fit(*words, *RATE, *SERIES, "--model.schedule", "null", "--trainer.max_epochs", "30")
    losses = EventAccumulator(str(record["path"])).Reload().Scalars("train/loss")
    assert losses[-1].value < 0.1 < 0.5 < losses[0].value


def test_streamed_series_and_ready_made_ones_can_be_normalized_by_themselves(fit: Fit, tmp_path: Path) -> None:
    arrays = scaled_series()
    numpy.save(tmp_path / "x.npy", arrays["x"][..., :20])
    numpy.save(tmp_path / "y.npy", arrays["y"])
    paths = ["--data.path", str(tmp_path / "x.npy"), "--data.labels", str(tmp_path / "y.npy")]
    record = fit("--data", "StreamedArrays", *paths, *CNN, *RATE, *SERIES, "--trainer.max_epochs", "6")
    assert record["metrics"]["test/accuracy"] > 0.6
    found = load(record["path"]).predict(tmp_path / "x.npy").select("^probability.*$").to_numpy()
    recorded = polars.read_parquet(record["path"] / "predictions.parquet").sort("row")
    expected = recorded.select("^prediction_.*$").to_numpy()
    assert numpy.abs(found[recorded["row"].to_list()] - expected).max() < 1e-5
    record = fit("--data", "Shapes1D", "--model", "LitLinear", *SERIES, "--trainer.max_epochs", "1")
    assert json.loads((record["path"] / "inspection.json").read_text())["input_shape"] == [3, 40]


@pytest.mark.parametrize("data", ["BreastCancer", "Digits"])
def test_tables_and_images_are_refused(refused: object, data: str) -> None:
    assert "--data.normalize series is for series" in refused("--data", data, "--model", "LitLinear", *SERIES)
