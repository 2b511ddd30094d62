"""The learning rate of every step is what the schedule says, and nobody has to type how long the run is."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import cos, pi
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from tiny_data import model_for, quiet_trainer, small_data
from torch.optim import SGD, Optimizer, lr_scheduler

from lit_models import ConfigError, Schedule
from lit_models.schedules import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau

LR = 0.5
LENGTHS: list[dict[str, Any]] = [
    {"max_epochs": 2},
    {"max_epochs": 5, "accumulate_grad_batches": 2},
    {"max_epochs": 3, "limit_train_batches": 6},
    {"max_epochs": 4, "limit_train_batches": 0.5},
    {"max_epochs": 5, "max_steps": 17},
    {"max_epochs": -1, "max_steps": 17},
    {"max_epochs": 4, "callbacks": [GradientAccumulationScheduler({1: 2, 3: 4})]},
]
"""Ways to say how long a run is, with 10 batches an epoch."""


class Rates(Callback):
    """The rate at each optimizer step, and the one after the last."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.last = 0.0

    def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Optimizer) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_end(self, trainer: Any, model: Any) -> None:
        self.last = trainer.optimizers[0].param_groups[0]["lr"]


def fit(schedule: Schedule, task: str = "multiclass", **kwargs: Any) -> tuple[Rates, Any]:
    """Fits 10 batches per epoch; returns the learning rates and the Trainer."""
    y = torch.arange(60) % 3
    ratios = (2 / 3, 1 / 6, 1 / 6)
    data = small_data(torch.randn(60, 2), y if task == "multiclass" else y.float(), task, batch_size=4, ratios=ratios)
    recorded = Rates()
    trainer = quiet_trainer(**(kwargs | {"callbacks": [recorded, *kwargs.get("callbacks", [])]}))
    trainer.fit(model_for(data, optimizer=partial(SGD, lr=LR), schedule=schedule), data)
    assert len(recorded.rates) == trainer.global_step > 0
    return recorded, trainer


@pytest.mark.parametrize("length", LENGTHS)
def test_warm_up_and_cosine_peak_at_the_rate_and_end_with_the_run(length: dict[str, Any]) -> None:
    warmup, floor = 4, 0.01
    recorded, trainer = fit(Schedule(partial(CosineAnnealingLR, eta_min=floor), warmup=warmup), **length)
    rising = [LR * (step + 1) / (warmup + 1) for step in range(warmup)]
    down = trainer.global_step - warmup
    falling = [floor + (LR - floor) * (1 + cos(pi * step / down)) / 2 for step in range(down)]
    assert recorded.rates == pytest.approx(rising + falling)
    assert recorded.rates[warmup] == LR
    assert recorded.last == pytest.approx(floor)


@pytest.mark.parametrize("length", LENGTHS)
def test_one_cycle_needs_nothing_typed(length: dict[str, Any]) -> None:
    recorded, trainer = fit(Schedule(OneCycleLR), **length)
    top = max(range(trainer.global_step), key=recorded.rates.__getitem__)
    assert top == pytest.approx(0.3 * trainer.global_step - 1, abs=1)
    assert recorded.rates[0] == pytest.approx(LR / 25)
    assert recorded.rates[-1] == pytest.approx(LR / 25 / 1e4)


def test_one_cycle_peaks_at_the_optimizers_rate() -> None:
    recorded, _ = fit(Schedule(OneCycleLR), max_epochs=2)  # 30 % of 20 steps: the peak falls on a step
    assert max(recorded.rates) == recorded.rates[5] == LR


def test_what_was_typed_is_not_filled_in() -> None:
    recorded, _ = fit(Schedule(partial(OneCycleLR, max_lr=0.2, total_steps=40), interval="step"), max_epochs=1)
    assert max(recorded.rates) <= 0.2
    assert recorded.rates == sorted(recorded.rates)  # the peak of 40 steps is behind the run's 10
    recorded, _ = fit(Schedule(partial(lr_scheduler.CosineAnnealingLR, T_max=5), interval="step"), max_epochs=1)
    assert recorded.rates[5] == pytest.approx(0)


def test_a_schedule_by_epochs_is_as_long_as_the_run_too() -> None:
    recorded, _ = fit(Schedule(CosineAnnealingLR, interval="epoch"), max_epochs=4)
    assert recorded.rates[::10] == pytest.approx([LR * (1 + cos(pi * epoch / 4)) / 2 for epoch in range(4)])
    assert all(len(set(recorded.rates[start : start + 10])) == 1 for start in range(0, 40, 10))


def test_warm_up_as_a_share_of_the_run() -> None:
    recorded, _ = fit(Schedule(CosineAnnealingLR, warmup=0.25), max_epochs=2)
    assert recorded.rates.index(LR) == 5
    assert all(before < after for before, after in pairwise(recorded.rates[:6]))
    assert all(before > after for before, after in pairwise(recorded.rates[5:]))


def test_warm_up_by_steps_beside_a_schedule_by_epochs() -> None:
    halving = partial(lr_scheduler.StepLR, step_size=1, gamma=0.5)
    recorded, _ = fit(Schedule(halving, warmup=14), max_epochs=3)
    assert recorded.rates == pytest.approx([LR * min(1, (i + 1) / 15) * 0.5 ** (i // 10) for i in range(30)])


def test_a_plateau_lowers_the_rate_also_after_a_warm_up() -> None:
    # A threshold that no loss can pass: every epoch but the first is one without improvement.
    stuck = partial(ReduceLROnPlateau, patience=0, factor=0.5, threshold=1e9, threshold_mode="abs")
    recorded, _ = fit(Schedule(stuck, warmup=4), max_epochs=4)
    assert recorded.rates == pytest.approx([LR * min(1, (i + 1) / 5) * 0.5 ** max(0, i // 10 - 1) for i in range(40)])


@pytest.mark.parametrize("frequency", [1, 2])
def test_a_plateau_looks_where_rows_were_validated(frequency: int) -> None:
    stuck = partial(ReduceLROnPlateau, patience=0, factor=0.5, threshold=1e9, threshold_mode="abs")
    recorded, _ = fit(Schedule(stuck, frequency=frequency), max_epochs=7, check_val_every_n_epoch=2)
    assert recorded.rates == pytest.approx([LR * 0.5 ** max(0, i // 20 - 1) for i in range(70)])


@pytest.mark.parametrize("plateau", [ReduceLROnPlateau, lr_scheduler.ReduceLROnPlateau])
@pytest.mark.parametrize(
    ("task", "monitor", "mode"),
    [
        ("multiclass", None, "min"),
        ("multiclass", "train/loss", "min"),
        ("multiclass", "val/accuracy", "max"),
        ("multiclass", "val/auroc_macro", "max"),
        ("regression", "val/rmse", "min"),
        ("regression", "val/mae", "min"),
        ("regression", "val/r2", "max"),
    ],
)
def test_the_direction_comes_from_the_metric(plateau: Any, task: str, monitor: str | None, mode: str) -> None:
    _, trainer = fit(Schedule(plateau, monitor=monitor), task, max_epochs=1)
    (config,) = trainer.lr_scheduler_configs
    assert (config.monitor, config.scheduler.mode) == (monitor or "val/loss", mode)


def test_a_typed_direction_stays_or_is_refused() -> None:
    _, trainer = fit(Schedule(partial(ReduceLROnPlateau, mode="max"), monitor="val/accuracy"), max_epochs=1)
    assert trainer.lr_scheduler_configs[0].scheduler.mode == "max"
    with pytest.raises(ConfigError, match="val/accuracy is best at its maximum"):
        fit(Schedule(partial(ReduceLROnPlateau, mode="min"), monitor="val/accuracy"), max_epochs=1)


def test_a_metric_that_nobody_logs_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ConfigError, match=r"nothing logs 'val/f1'.*val/loss, val/accuracy.*val/f1_macro"):
        fit(Schedule(ReduceLROnPlateau, monitor="val/f1"), max_epochs=1)


@pytest.mark.parametrize(
    ("make", "length", "why"),
    [
        (
            lambda: Schedule(CosineAnnealingLR),
            {"max_epochs": -1, "max_time": {"seconds": 9}},
            "max_epochs or max_steps",
        ),
        (lambda: Schedule(OneCycleLR), {"max_epochs": -1, "max_time": {"seconds": 9}}, "max_epochs or max_steps"),
        (
            lambda: Schedule(CosineAnnealingLR, interval="epoch"),
            {"max_epochs": -1, "max_time": {"seconds": 9}},
            "no epochs left to go",
        ),
        (lambda: Schedule(CosineAnnealingLR, warmup=20), {"max_epochs": 2}, "no steps left to go: 0 after 20"),
        (lambda: Schedule(OneCycleLR, warmup=3), {}, "leave schedule.warmup out"),
        (lambda: Schedule(CosineAnnealingLR, warmup=-1), {}, "schedule.warmup is a number of steps or a fraction"),
        (lambda: Schedule(CosineAnnealingLR, warmup=1.5), {}, "schedule.warmup is a number of steps or a fraction"),
        (lambda: Schedule(CosineAnnealingLR, frequency=0), {}, "schedule.frequency must be at least 1"),
        (lambda: Schedule(CosineAnnealingLR, frequency=2), {"max_epochs": 2}, "leave schedule.frequency 2 out"),
        (
            lambda: Schedule(partial(lr_scheduler.LambdaLR, lr_lambda=lambda epoch: 1.0), warmup=3),
            {"max_epochs": 2},
            "would erase the warm-up",
        ),
        (lambda: Schedule(partial(OneCycleLR, pct_start=3.0)), {"max_epochs": 2}, "cannot be made.*pct_start"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[[], Schedule], length: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        fit(make(), **length)
