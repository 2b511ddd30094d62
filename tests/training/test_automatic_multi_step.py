"""Blocks of steps that nobody asked for: where they are taken, how long they are, and that they change no number."""

import functools
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, TQDMProgressBar
from resumed_runs import assert_equal
from tiny_data import model_for, quiet_trainer, small_data
from torch import nn
from torch.optim import LBFGS, SGD

from experiments.__main__ import main
from lit_models import LitMLP
from lit_models.errors import ConfigError
from lit_models.training import multi_step, multi_step_size
from lit_models.training.multi_step_size import MultiStepSize

WORDS = (
    "fit --data Digits --data.batch_size 8 --model LitMLP --model.schedule.scheduler OneCycleLR --trainer.max_epochs 2"
)
WORDS += " --seed_everything 3 --experiment e --figures false --trainer.accelerator cpu"


class Counted(Callback):
    """Counts batches, as callbacks of people do."""

    batches = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *more: Any) -> None:
        type(self).batches += 1


class OwnSGD(SGD):
    """Evaluates the loss again within a step, if a closure is given."""

    def step(self, closure: Any = None) -> Any:
        assert closure is not None
        return super().step(closure)


class Accumulating(Callback):
    """Changes the trainer ahead of the second epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.accumulate_grad_batches = 1 + trainer.current_epoch


class OwnStep(LitMLP):
    """Logs every step's loss."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("own", loss)
        return loss


class OwnHook(LitMLP):
    """Logs every step's gradient norm, as Lightning's documentation shows it."""

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.log("norm", nn.utils.get_total_norm([one.grad for one in self.parameters() if one.grad is not None]))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each block has taken ahead of its last; blocks grow however slow the machine is."""
    counts: list[int] = []
    take = multi_step.take_ahead

    def counting(*words: Any) -> list[multi_step.Step]:
        steps = take(*words)
        counts.append(len(steps))
        return steps

    monkeypatch.setattr(multi_step, "take_ahead", counting)
    monkeypatch.setattr(multi_step_size, "SHORT", math.inf)
    return counts


def test_steps_go_in_blocks_by_themselves_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    main([*WORDS.split(), "--run", "single", "--model.steps_per_execution", "1"])
    assert not taken
    main([*WORDS.split(), "--run", "auto"])
    assert taken[:7] == [1, 3, 7, 15, 31, 63, 158 - 1 - 2 - 4 - 8 - 16 - 32 - 64 - 1]
    one, other = (
        torch.load(tmp_path / f"runs/e/{run}/checkpoints/last.ckpt", weights_only=True) for run in ("single", "auto")
    )
    for part in ("global_step", "state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert_equal(one[part], other[part], part)


def fitted(model: Callable[..., LitMLP] = LitMLP, rows: int = 60, **settings: Any) -> LitMLP:
    torch.manual_seed(0)
    data = small_data(torch.randn(rows, 4), torch.arange(rows) % 3, batch_size=6)
    made = model_for(data, model)
    quiet_trainer(**{"max_epochs": 3, **settings}).fit(made, data)
    return made


def test_blocks_are_taken_in_any_trainer(taken: list[int]) -> None:
    fitted()
    assert taken == [1, 3, 3, 2, 6]  # of 7 steps an epoch: blocks of 1, 2, 4; of 4, 3; of 7


@pytest.mark.parametrize(
    "settings",
    [
        {"profiler": "simple"},
        {"accumulate_grad_batches": 2},
        {"model": OwnStep},
        {"model": OwnHook},
        {"model": partial(LitMLP, optimizer=partial(OwnSGD, lr=0.1))},
        {"model": partial(LitMLP, optimizer=LBFGS)},
        {"callbacks": [StochasticWeightAveraging(0.1, 1)]},
        {"callbacks": [TQDMProgressBar()], "enable_progress_bar": True},
    ],
    ids=["profiler", "accumulation", "own step", "own hook", "own optimizer", "LBFGS", "averaged weights", "bar"],
)
def test_who_looks_at_steps_sees_single_ones(taken: list[int], settings: dict[str, Any]) -> None:
    fitted(**settings)
    assert not taken


def test_a_method_of_one_model_alone_is_seen(taken: list[int]) -> None:
    def wrapped(*facts: Any, **settings: Any) -> LitMLP:
        model = LitMLP(*facts, **settings)
        model.training_step = functools.wraps(model.training_step)(partial(LitMLP.training_step, model))  # type: ignore
        return model

    fitted(wrapped)
    assert not taken


def test_a_callback_that_looks_at_batches_sees_each(taken: list[int]) -> None:
    Counted.batches = 0
    fitted(callbacks=[Counted()])
    assert not taken
    assert Counted.batches == 3 * 7


def test_what_a_callback_changes_between_epochs_counts(taken: list[int]) -> None:
    changed = fitted(callbacks=[Accumulating()], max_epochs=2)
    assert 1 + sum(taken) + len(taken) == 7  # the first epoch's, of which the first step was single
    single = fitted(partial(LitMLP, steps_per_execution=1), callbacks=[Accumulating()], max_epochs=2)
    assert_equal(changed.state_dict(), single.state_dict())


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0001, 500, 4000), (0.01, 8, 32), (0.15, 1, 2), (5.0, 1, 1)])
def test_a_block_lasts_about_a_fifth_of_a_second(
    monkeypatch: pytest.MonkeyPatch, seconds: float, fewest: int, most: int
) -> None:
    now = 1.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    pace, steps = MultiStepSize(None), 1
    pace.restart()
    for block in range(30):
        steps = pace.next(steps)
        now += steps * seconds + (7.0 if block == 15 else 0.0)  # once, the machine does something else
    assert fewest <= steps <= most
    assert 0.1 <= steps * seconds <= 0.3 or steps == 1
    pace.restart()
    now += 100
    assert pace.next(steps) == steps


def test_blocks_that_something_ends_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubled after each of them, the number left what a float can hold after a thousand."""
    now = 1.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    pace, steps = MultiStepSize(None), 1
    for _ in range(3000):
        steps = pace.next(min(steps, 5))
        now += 0.001
    assert steps == 8
    now += 1.0  # steps have become slow
    assert pace.next(5) == 2


@pytest.mark.parametrize("value", [0, -1, 2.5, "7", None])
def test_what_is_no_number_of_steps_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="steps_per_execution must be auto or at least 1"):
        fitted(partial(LitMLP, steps_per_execution=value))
