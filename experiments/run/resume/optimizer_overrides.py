"""A resumed optimizer and schedule: what was typed anew wins over what the checkpoint holds."""

import copy
import sys
import warnings
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig

from experiments.run.record.config_diff import Changes

OPTIMIZER, SCHEDULE = "model.optimizer", "model.schedule"
RATES = ("lr", "initial_lr", "max_lr", "min_lr")
SCHEDULED = (*RATES, "betas", "momentum", "max_momentum", "base_momentum")
"""What schedules keep in, or write to, an optimizer's groups."""
LENGTHS = ("T_max", "total_steps", "_milestones")


class TypedWins(Callback):
    """Puts changed settings of the optimizer and the schedule back after Lightning restored the old ones.

    A learning rate under a schedule scales the schedule. A schedule that was changed, or whose length follows from a
    run that was made longer, is taken up at the step where the run is, as if it had been there from the start.

    Args:
        changes: What was typed anew.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self._groups: list[list[dict[str, Any]]] = []
        self._schedules: list[dict[str, Any]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what the configuration asks for; the checkpoint's state is loaded next."""
        self._groups = [
            [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
            for optimizer in trainer.optimizers
        ]
        self._schedules = [copy.deepcopy(one.scheduler.state_dict()) for one in trainer.lr_scheduler_configs]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set what differs."""
        names = [name.removeprefix(f"{OPTIMIZER}.") for name in self.changes.under(OPTIMIZER)]
        schedules = trainer.lr_scheduler_configs
        for optimizer, fresh in zip(trainer.optimizers, self._groups, strict=True):
            for group, wanted in zip(optimizer.param_groups, fresh, strict=True):
                for name in names:
                    if name in wanted and not (name == "lr" and schedules):
                        group[name] = wanted[name]
        if self._is_another(schedules):
            self._take_up(trainer)
        elif "lr" in names and schedules:
            before, now = self.changes.values[f"{OPTIMIZER}.lr"]
            if before and now:
                _scale(trainer, float(now) / float(before))

    def _is_another(self, schedules: list[LRSchedulerConfig]) -> bool:
        if self.changes.under(SCHEDULE):
            return True
        now = [one.scheduler.state_dict() for one in schedules]
        return any(_lengths(one) != _lengths(wanted) for one, wanted in zip(now, self._schedules, strict=True))

    def _take_up(self, trainer: Trainer) -> None:
        before = trainer.optimizers[0].param_groups[0]["lr"]
        for optimizer, fresh in zip(trainer.optimizers, self._groups, strict=True):
            for group, wanted in zip(optimizer.param_groups, fresh, strict=True):
                group.update({name: wanted[name] for name in SCHEDULED if name in wanted})
        for one, state in zip(trainer.lr_scheduler_configs, self._schedules, strict=True):
            one.scheduler.load_state_dict(state)
            done = trainer.global_step if one.interval == "step" else trainer.current_epoch
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the optimizer was not stepped in between
                for _ in range(0 if one.reduce_on_plateau else done // one.frequency):
                    one.scheduler.step()  # type: ignore[call-arg]  # the plateau's alone takes a metric
        now = trainer.optimizers[0].param_groups[0]["lr"]
        if trainer.is_global_zero:
            print(
                "the schedule now spans the run as it is configured, and is taken up at step "
                f"{trainer.global_step}: the learning rate goes on from {before:.3g} at {now:.3g}",
                file=sys.stderr,
            )


def _scale(trainer: Trainer, factor: float) -> None:
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            group.update({name: group[name] * factor for name in RATES if name in group})
    for one in trainer.lr_scheduler_configs:
        for scheduler in (one.scheduler, *getattr(one.scheduler, "_schedulers", ())):
            for name in ("base_lrs", "_last_lr"):
                if hasattr(scheduler, name):
                    setattr(scheduler, name, [rate * factor for rate in getattr(scheduler, name)])


def _lengths(state: dict[str, Any]) -> list[Any]:
    inner = [_lengths(one) for one in state.get("_schedulers", ())]
    return [[state.get(name) for name in LENGTHS], *inner]
