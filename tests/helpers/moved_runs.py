"""Runs of which the best checkpoint alone is left, and ``evenhand predict`` of them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest

from experiments.__main__ import main

QUICKLY = ("--model", "LitMLP", "--model.hidden", "[8]", "--trainer.max_epochs", "2", "--seed_everything", "0")


class Moved:
    """Run whose best checkpoint alone is left, in another folder, and its recorded predictions."""

    def __init__(self, record: dict[str, Any], data: list[Path], home: Path) -> None:
        self.path = home / "moved"
        (self.path / "checkpoints").mkdir(parents=True)
        self.recorded = polars.read_parquet(record["path"] / "predictions.parquet")
        shutil.copy(record["path"] / "checkpoints" / "best.ckpt", self.path / "checkpoints")
        shutil.rmtree(record["path"])
        for path in data:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def rows(self) -> list[int]:
        """The run's test rows."""
        return self.recorded["row"].to_list()

    def compare(self, predicted: polars.DataFrame) -> None:
        """Asserts that these are the recorded predictions, in their order."""
        numbers = [name for name in self.recorded.columns if name.startswith("prediction")]
        for name in numbers:
            other = name.replace("prediction", "probability") if len(numbers) > 1 else predicted.columns[-1]
            other = other if other in predicted.columns else name
            assert numpy.abs(predicted[other].to_numpy() - self.recorded[name].to_numpy()).max() < 1e-6
        assert len(predicted) == len(self.recorded)


@pytest.fixture(name="predicted")
def predicting(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., polars.DataFrame]:
    """Predicts a file by ``evenhand predict``; ``message`` has the lines that it printed."""

    def run(moved: Moved, source: Path | str, name: str = "out.parquet") -> polars.DataFrame:
        output = tmp_path / name
        capfd.readouterr()
        assert main(["predict", "--ckpt_path", str(moved.path), "--input", str(source), "--output", str(output)]) == 0
        run.message = capfd.readouterr().out  # type: ignore[attr-defined]
        return polars.read_csv(output) if name.endswith("csv") else polars.read_parquet(output)

    return run


@pytest.fixture(name="fails")
def failing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must end with exit code 2, one sentence, and no output."""

    def run(*words: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["predict", "--output", str(tmp_path / "none.parquet"), *words])
        message = capfd.readouterr().err.strip()
        assert stopped.value.code == 2, message
        assert not (tmp_path / "none.parquet").exists()
        assert not list(tmp_path.glob(".none*"))
        assert len(message.splitlines()) == 1
        return message

    return run
