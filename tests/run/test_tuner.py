"""Values that Lightning's finders choose are set like typed options, recorded, and kept on resume."""

from pathlib import Path

import numpy
import pytest
import yaml
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import QUICK

from experiments.__main__ import main
from experiments.run.tuner import valley

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


def test_a_found_rate_is_printed_and_drawn(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    record = fit(*WORDS, *RATE, "--trainer.max_epochs", "1")
    assert f"found model.optimizer.lr {record['found']['model.optimizer.lr']:.3g}" in capfd.readouterr().out
    events = EventAccumulator(str(record["path"])).Reload()
    assert "visuals/learning_rates" in events.Tags()["images"]


def test_the_rate_is_in_the_middle_of_the_longest_fall() -> None:
    assert valley([2.0, 2.1, 2.0, 1.8, 1.5, 1.1, 0.9, 1.5, 4.0]) == 3  # falls from index 1 to 6
    assert valley([1.0, 1.01, 0.99, 1.0, 0.98]) is None  # noise
    assert valley([1.0, 1.2, 1.5, 9.0]) is None
    assert valley([]) is None


@given(start=st.integers(0, 30), fall=st.integers(4, 60), rise=st.integers(0, 30), seed=st.integers(0, 99))
@QUICK
def test_noise_ahead_of_the_fall_does_not_move_the_rate_out_of_it(start: int, fall: int, rise: int, seed: int) -> None:
    noise = numpy.random.default_rng(seed).normal(0, 1e-3, start)
    losses = [*(2 + noise), *numpy.linspace(2, 1, fall), *numpy.linspace(1, 9, rise)]
    chosen = valley(losses)
    assert chosen is not None
    assert chosen < start + fall
    assert fall < 2 * start or chosen >= start  # a plateau twice as long as the fall has long subsequences of its own


def test_a_search_that_finds_nothing_says_so(refused: object, capfd: pytest.CaptureFixture[str]) -> None:
    output = refused(*WORDS, "--trainer.callbacks+=LearningRateFinder", "--trainer.callbacks.num_training_steps", "5")  # type: ignore[operator]
    assert "LearningRateFinder found no rate" in output.splitlines()[-1]


def test_a_fast_dev_run_searches_nothing(root: Path) -> None:
    words = ["fit", "--trust", "tiny_package", *WORDS, *RATE, "--trainer.fast_dev_run", "true"]
    assert main([*words, "--trainer.default_root_dir", str(root)]) == 0
