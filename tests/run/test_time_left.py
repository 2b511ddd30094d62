"""The time left in the lines of epochs: in plain text, to the limit that comes first."""

import re

import pytest
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import PLAIN

from experiments.cli import fit_defaults
from experiments.terminal import duration

TINY = ["--data", "Tiny", "--model", "LitMLP", "--model.hidden", "[8]"]
UNITS = {"s": 1, "min": 60, "h": 3600}


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    printed = capfd.readouterr().out
    assert "\r" not in printed
    assert "\x1b" not in printed
    return [line for line in printed.splitlines() if line.startswith("epoch ")]


def test_a_run_of_a_fixed_length(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    fit(*TINY, "--trainer.max_epochs", "3", *PLAIN)
    first, second, last = lines(capfd)
    assert re.fullmatch(r"epoch 1/3  .* \d+\.\d s, about \d+ s left", first)
    assert re.fullmatch(r"epoch 2/3  .* \d+\.\d s, about \d+ s left", second)
    assert re.fullmatch(r"epoch 3/3  .* \d+\.\d s", last)


@pytest.mark.parametrize(
    "limit",
    [
        ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"],
        ["--trainer.max_time", "00:01:00:00"],
        ["--trainer.max_steps", "1000000"],
    ],
)
def test_a_run_of_a_typed_length_that_may_stop_earlier(
    fit: Fit, capfd: pytest.CaptureFixture[str], limit: list[str]
) -> None:
    fit(*TINY, "--trainer.max_epochs", "3", *limit)
    first, second, last = lines(capfd)
    assert re.fullmatch(r"epoch 1/3  .* about \d+ s left at most", first)
    assert re.fullmatch(r"epoch 2/3  .* about \d+ s left at most", second)
    assert re.fullmatch(r"epoch 3/3  .* \d+\.\d s", last)


def test_a_chosen_length_is_the_most(
    fit: Fit, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_defaults, "size_and_epochs", lambda rows, data: (16, 20))  # 300 epochs as a rule
    fit(*TINY, "--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "10")
    first, second, *_ = lines(capfd)
    assert re.fullmatch(r"epoch 1 of at most \d+  .* about \d+ s left at most", first)
    assert re.fullmatch(r"epoch 2 of at most \d+  .* about \d+ s left at most", second)


def test_the_limit_that_comes_first_counts(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    fit(*TINY, "--trainer.max_epochs", "1000000", "--trainer.max_time", "00:00:00:01")
    first, *others = lines(capfd)
    assert first.endswith(", about 1 s left at most")
    assert not any("min left" in line or "h left" in line for line in others)


@given(st.floats(0.01, 1e6))
def test_a_duration_is_that_to_a_twentieth(seconds: float) -> None:
    number, unit = duration(seconds).split()
    written = float(number) * UNITS[unit]
    assert written == pytest.approx(seconds, rel=0.05, abs=1) or written == pytest.approx(seconds, abs=UNITS[unit] / 2)
    assert float(number) < 60 or unit == "h"
