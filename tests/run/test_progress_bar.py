"""The bar is drawn by time, not by step, and is full at an epoch's end, also where steps come in blocks."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import rich
import torch
from conftest import Fit
from tiny_data import PLAIN, model_for, quiet_trainer, small_data

from experiments.run.progress_bar import Bar


class Watched(Bar):
    def __init__(self) -> None:
        super().__init__()
        self._console_kwargs = {"file": io.StringIO(), "force_terminal": True}
        self.shown: list[int] = []

    def _update(self, bar: Any, current: int, visible: bool = True, hard: bool = False) -> None:
        super()._update(bar, current, visible, hard)
        if bar == self.train_progress_bar_id:
            self.shown.append(current)


@pytest.fixture(autouse=True)
def console() -> Iterator[None]:
    """The bar gives its settings to the one console that all of rich's users print to."""
    yield
    rich.reconfigure()


@pytest.mark.parametrize("steps", [1, 50])
def test_few_steps_draw_and_the_last_one_does(steps: int) -> None:
    data = small_data(torch.zeros(1000, 2), torch.arange(1000) % 3, batch_size=2)
    bar = Watched()
    trainer = quiet_trainer(max_epochs=1, callbacks=[bar], enable_progress_bar=True)
    trainer.fit(model_for(data, steps_per_execution=steps), data)
    assert bar.shown[-1] == 350
    assert len(bar.shown) < 100
    assert bar.shown == sorted(bar.shown)


@pytest.mark.parametrize("bar", ["TQDMProgressBar", "RichProgressBar"])
def test_another_bar_takes_the_place_of_ours(fit: Fit, capfd: pytest.CaptureFixture[str], bar: str) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "1", *PLAIN]
    fit(*words)
    assert "epoch 1/1" in capfd.readouterr().out
    fit(*words, "--trainer.callbacks+", bar)
    assert "epoch 1/1" not in capfd.readouterr().out


def test_an_epoch_that_a_callback_adds_is_counted(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    """Averaged weights learn their batch norms' statistics in one more epoch, which is taken back ahead of its line."""
    words = ["--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "2"]
    fit(*words, *PLAIN, "--trainer.callbacks+", "StochasticWeightAveraging", "--trainer.callbacks.swa_lrs", "0.01")
    lines = [line.split()[1] for line in capfd.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert lines == ["1/3", "2/3", "3/3"]
