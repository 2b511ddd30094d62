"""Metrics are equal on one process and on several."""

import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest
import torch

from experiments.__main__ import main

WORDS = ["fit", "--data", "MNIST1D", "--model", "LitLinear"]
WORDS += ["--model.calibration", "temperature", "--model.interval", "0.9"]
WORDS += ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--figures", "false"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("devices")
    words = [*WORDS, "--trainer.default_root_dir", str(root)]
    command = [sys.executable, "-m", "experiments", *words, "--trainer.devices", "2", "--run", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "deprecated" not in done.stderr
    drawn = json.loads((root / "runs/mnist1d/2/record.json").read_text())["seed"]  # by the first, for both
    assert main([*words, "--trainer.devices", "1", "--run", "1", "--seed_everything", str(drawn)]) == 0
    return {processes: root / "runs" / "mnist1d" / str(processes) for processes in (1, 2)}


def test_two_processes_evaluate_every_row_once(runs: dict[int, Path]) -> None:
    rows = [polars.read_parquet(run / "predictions.parquet")["row"].to_list() for run in runs.values()]
    assert rows[0] == rows[1] == list(range(4000, 5000))


def test_two_processes_predict_every_validation_row_once_and_decide_as_one(runs: dict[int, Path]) -> None:
    one, two = (polars.read_parquet(run / "val_predictions.parquet") for run in runs.values())
    split = polars.read_parquet(runs[1] / "split.parquet")
    assert one["row"].to_list() == two["row"].to_list() == sorted(split.filter(part="val")["row"])
    assert float((one.drop("row") - two.drop("row")).select(polars.all().abs().max()).max_horizontal()[0]) < 1e-5
    decided, by_two = (json.loads((run / "record.json").read_text())["decisions"] for run in runs.values())
    assert decided["rows"] == by_two["rows"] == len(one)
    for name in ("temperature", "quantile"):
        assert decided[name] == pytest.approx(by_two[name], rel=1e-4)


def test_two_processes_train_and_measure_what_one_does(runs: dict[int, Path]) -> None:
    one, two = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in runs.values())
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    one, two = (json.loads((run / "record.json").read_text())["metrics"] for run in runs.values())
    assert two == pytest.approx(one, abs=1e-5)


def test_two_processes_leave_one_run_and_not_two(runs: dict[int, Path]) -> None:
    assert sorted(path.name for path in runs[1].parent.iterdir()) == ["1", "2"]
    assert len(list(runs[2].glob("events*"))) == 1
    assert json.loads((runs[2] / "record.json").read_text())["device"]["processes"] == 2


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["--trainer.devices", "2", "--data.batch_size", "101", "--trainer.default_root_dir", str(tmp_path)]
    with pytest.raises(SystemExit, match="2"):
        main([*WORDS, *words])
    assert "choose 100 or 102, a multiple of 2" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()
