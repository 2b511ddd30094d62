"""Options of the optimizer and the schedule that changed replace those of a checkpoint, on a Trainer's optimizers."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch.optim import SGD, AdamW, lr_scheduler

from experiments.run.record.config_diff import Changes
from experiments.run.resume.optimizer_overrides import OptimizerOverrides

STEP, EPOCH = 6, 3


def trainer(optimizer: Any, *configs: LRSchedulerConfig, is_global_zero: bool = True) -> Any:
    return SimpleNamespace(
        optimizers=[optimizer], lr_scheduler_configs=[*configs], global_step=STEP, current_epoch=EPOCH,
        is_global_zero=is_global_zero,
    )  # fmt: skip


def adamw(**options: Any) -> AdamW:
    """An optimizer of two groups, of which the second does not decay."""
    groups = [{"params": [torch.ones(2)]}, {"params": [torch.ones(3)], "weight_decay": 0.0}]
    return AdamW(groups, **options)


def resumed(changes: dict[str, Any], now: Any, before: Any, **more: Any) -> None:
    """Loads the state of ``before`` into ``now``, both tuples of an optimizer and its schedules, as Lightning does."""
    callback = OptimizerOverrides(Changes(changes))
    running = trainer(*now, **more)
    callback.on_fit_start(running, None)  # type: ignore[arg-type]
    now[0].load_state_dict(before[0].state_dict())
    for config, loaded in zip(now[1:], before[1:], strict=True):
        config.scheduler.load_state_dict(loaded.scheduler.state_dict())
    callback.on_train_start(running, None)  # type: ignore[arg-type]


def groups(optimizer: Any, *names: str) -> list[list[Any]]:
    return [[group[name] for name in names] for group in optimizer.param_groups]


def test_changed_options_alone_are_those_of_the_new_optimizer() -> None:
    before, now = adamw(lr=0.1, weight_decay=0.2, eps=1e-3), adamw(lr=0.5, weight_decay=0.4, eps=1e-4)
    resumed({"model.optimizer.weight_decay": (0.2, 0.4), "model.dropout": (0, 1)}, (now,), (before,))
    assert groups(now, "lr", "weight_decay", "eps") == [[0.1, 0.4, 1e-3], [0.1, 0.0, 1e-3]]
    now = adamw(lr=0.5, weight_decay=0.4, eps=1e-4)
    resumed({"model.optimizer.lr": (0.1, 0.5), "model.optimizer.unknown": (0, 1)}, (now,), (before,))
    assert groups(now, "lr", "weight_decay", "eps") == [[0.5, 0.2, 1e-3], [0.5, 0.0, 1e-3]]
    assert [len(group["params"]) for group in now.param_groups] == [1, 1]


def halving(lr: float, **more: Any) -> tuple[Any, Any]:
    optimizer = adamw(lr=lr, weight_decay=0.2)
    return optimizer, LRSchedulerConfig(lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5), **more)


def advanced(pair: tuple[Any, Any], count: int) -> tuple[Any, Any]:
    for _ in range(count):
        pair[0].step()
        pair[1].scheduler.step()
    return pair


def test_a_rate_under_a_schedule_scales_the_schedule() -> None:
    before, now = advanced(halving(0.1), 2), halving(0.3)
    resumed({"model.optimizer.lr": (0.1, 0.3)}, now, before)
    assert groups(now[0], "lr", "initial_lr") == [pytest.approx([0.075, 0.3])] * 2
    assert now[1].scheduler.get_last_lr() == pytest.approx([0.075] * 2)
    advanced(now, 1)
    assert groups(now[0], "lr") == [pytest.approx([0.0375])] * 2


@pytest.mark.parametrize("rates", [(0, 0.3), (0.1, 0), (None, 0.3)])
def test_a_rate_without_a_ratio_leaves_the_schedule(rates: Any) -> None:
    before, now = advanced(halving(0.1), 2), halving(0.3)
    resumed({"model.optimizer.lr": rates}, now, before)
    assert groups(now[0], "lr", "initial_lr") == [pytest.approx([0.025, 0.1])] * 2


def test_another_option_leaves_the_schedule() -> None:
    before, now = advanced(halving(0.1), 2), halving(0.3)
    resumed({"model.optimizer.weight_decay": (0.2, 0.2)}, now, before)
    assert groups(now[0], "lr", "initial_lr") == [pytest.approx([0.025, 0.1])] * 2


def cosine(length: int, lr: float = 0.1, **more: Any) -> tuple[Any, Any]:
    optimizer = SGD([torch.ones(2)], lr=lr, momentum=0.9)
    return optimizer, LRSchedulerConfig(lr_scheduler.CosineAnnealingLR(optimizer, T_max=length), **more)


def rate(done: int, length: int) -> float:
    return 0.1 * (1 + math.cos(math.pi * done / length)) / 2


@pytest.mark.filterwarnings("error")  # torch's, of an optimizer that was not stepped
@pytest.mark.parametrize(
    ("interval", "frequency", "done"),
    [("step", 1, STEP), ("epoch", 1, EPOCH), ("step", 4, STEP // 4), ("epoch", 2, EPOCH // 2)],
)
def test_a_longer_schedule_is_taken_up_where_the_run_is(
    capsys: pytest.CaptureFixture[str], interval: str, frequency: int, done: int
) -> None:
    options = {"interval": interval, "frequency": frequency}
    for rank in (0, 1):
        before, now = advanced(cosine(8, **options), 2), cosine(20, **options)
        resumed({}, now, before, is_global_zero=rank == 0)
        assert groups(now[0], "lr", "initial_lr", "momentum") == [pytest.approx([rate(done, 20), 0.1, 0.9])]
        assert now[1].scheduler.last_epoch == done
        message = capsys.readouterr().err
        line = f"at step 6: the learning rate goes on from {rate(2, 8):.3g} at {rate(done, 20):.3g}\n"
        assert message.endswith(line) if rank == 0 else message == ""


def test_a_schedule_of_the_same_length_goes_on_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before, now = advanced(cosine(20), 2), cosine(20)
    resumed({"trainer.max_epochs": (1, 2)}, now, before)
    assert groups(now[0], "lr") == [[pytest.approx(rate(2, 20))]]
    assert now[1].scheduler.last_epoch == 2
    assert capsys.readouterr().err == ""


def test_a_changed_schedule_starts_from_the_configured_rate() -> None:
    before, now = advanced(cosine(20), 2), cosine(20, lr=0.4)
    resumed({"model.schedule.scheduler.eta_min": (0, 0)}, now, before)
    assert groups(now[0], "lr", "initial_lr") == [pytest.approx([4 * rate(EPOCH, 20), 0.4])]


def test_a_changed_plateau_schedule_takes_no_steps() -> None:
    def plateau(lr: float) -> tuple[Any, Any]:
        optimizer = SGD([torch.ones(2)], lr=lr)
        return optimizer, LRSchedulerConfig(
            lr_scheduler.ReduceLROnPlateau(optimizer, patience=4), reduce_on_plateau=True
        )

    before, now = plateau(0.1), plateau(0.3)
    before[1].scheduler.step(1.0)
    resumed({"model.schedule": (1, 2)}, now, before)
    assert now[1].scheduler.last_epoch == 0
    assert groups(now[0], "lr") == [[0.3]]
