"""Values that Lightning's finders choose are set like typed options, recorded, and kept on resume."""

from pathlib import Path

import pytest
import yaml
from conftest import Fit

from experiments.__main__ import main

WORDS = ["--data", "Tiny", "--model", "LitMLP", "--model.hidden", "[8]", "--seed_everything", "3"]
WORDS += ["--trainer.accelerator", "cpu", "--experiment", "e", "--data.batch_size", "6"]
RATE = ["--trainer.callbacks+=LearningRateFinder", "--trainer.callbacks.num_training_steps", "30"]


def test_a_found_rate_is_the_run_with_that_rate_typed(fit: Fit) -> None:
    found = fit(*WORDS, *RATE, "--trainer.max_epochs", "2", "--run", "found")
    rate = found["found"]["model.optimizer.lr"]
    assert found["hyperparameters"]["model.optimizer.lr"] == found["step"]["learning_rate"] == rate != 1e-3
    typed = fit(*WORDS, "--model.optimizer.lr", str(rate), "--trainer.max_epochs", "2", "--run", "typed")
    assert typed["metrics"] == found["metrics"]
    config = yaml.safe_load((found["path"] / "config.yaml").read_text())
    assert config["model"]["init_args"]["optimizer"]["init_args"]["lr"] == rate


def test_a_found_batch_size_stays_when_the_run_is_extended(fit: Fit, root: Path) -> None:
    search = ["--trainer.callbacks+=BatchSizeFinder", "--trainer.callbacks.max_trials", "3"]
    record = fit(*WORDS, *search, "--trainer.max_epochs", "1", "--run", "r")
    assert record["found"] == {"data.batch_size": record["step"]["batch_size"]} == {"data.batch_size": 8}
    again = ["fit", "--trust", "tiny_package", *WORDS[:-2], *search, "--trainer.max_epochs", "2", "--run", "r"]
    assert main([*again, "--trainer.default_root_dir", str(root)]) == 0
    assert "batch_size: 8" in (record["path"] / "config.yaml").read_text()


def test_a_search_that_finds_nothing_says_so(refused: object, capfd: pytest.CaptureFixture[str]) -> None:
    output = refused(*WORDS, "--trainer.callbacks+=LearningRateFinder", "--trainer.callbacks.num_training_steps", "5")  # type: ignore[operator]
    assert "LearningRateFinder found no rate" in output.splitlines()[-1]


def test_a_fast_dev_run_searches_nothing(root: Path) -> None:
    words = ["fit", "--trust", "tiny_package", *WORDS, *RATE, "--trainer.fast_dev_run", "true"]
    assert main([*words, "--trainer.default_root_dir", str(root)]) == 0
