"""Changed settings of the optimizer and the schedule replace those of a checkpoint."""

import copy
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from typing_extensions import override

from experiments.internals.torch_private import scale_learning_rates, scheduler_lengths
from experiments.run.record.config_diff import Changes
from experiments.terminal import say

OPTIMIZER, SCHEDULE = "model.optimizer", "model.schedule"
RATES = ("lr", "initial_lr", "max_lr", "min_lr")
SCHEDULED = (*RATES, "betas", "momentum", "max_momentum", "base_momentum")
"""Entries of an optimizer's groups that schedules use or set."""


class OptimizerOverrides(Callback):
    """Restores changed settings of the optimizer and the schedule after Lightning has loaded the checkpoint's.

    A learning rate under a schedule scales the schedule. A schedule that was changed, or whose length follows from a
    run that was made longer, continues at the current step as if it had been there from the start.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self._groups: list[list[dict[str, Any]]] = []
        self._schedules: list[dict[str, Any]] = []

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Kept before Lightning loads the checkpoint's state.
        self._groups = [
            [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
            for optimizer in trainer.optimizers
        ]
        self._schedules = [copy.deepcopy(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs]

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        names = [name.removeprefix(f"{OPTIMIZER}.") for name in self.changes.under(OPTIMIZER)]
        schedules = trainer.lr_scheduler_configs
        self._restore(trainer, [name for name in names if not (name == "lr" and schedules)])
        if self._has_new_schedule(schedules):
            self._continue_schedules(trainer)
        elif "lr" in names and schedules:
            before, now = self.changes.values[f"{OPTIMIZER}.lr"]
            if before and now:
                factor = float(now) / float(before)
                for group in (group for optimizer in trainer.optimizers for group in optimizer.param_groups):
                    group.update({name: group[name] * factor for name in RATES if name in group})
                for config in schedules:
                    scale_learning_rates(config.scheduler, factor)

    def _restore(self, trainer: Trainer, names: Sequence[str]) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._groups, strict=True):
            for group, configured in zip(optimizer.param_groups, groups, strict=True):
                group.update({name: configured[name] for name in names if name in configured})

    def _has_new_schedule(self, schedules: list[LRSchedulerConfig]) -> bool:
        if self.changes.under(SCHEDULE):
            return True
        states = [config.scheduler.state_dict() for config in schedules]
        pairs = zip(states, self._schedules, strict=True)
        return any(scheduler_lengths(state) != scheduler_lengths(configured) for state, configured in pairs)

    def _continue_schedules(self, trainer: Trainer) -> None:
        before = trainer.optimizers[0].param_groups[0]["lr"]
        self._restore(trainer, SCHEDULED)
        for config, state in zip(trainer.lr_scheduler_configs, self._schedules, strict=True):
            config.scheduler.load_state_dict(state)
            done = trainer.global_step if config.interval == "step" else trainer.current_epoch
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns that the optimizer was not stepped in between
                for _ in range(0 if config.reduce_on_plateau else done // config.frequency):
                    config.scheduler.step()  # type: ignore[call-arg]  # only the plateau's takes a metric
        now = trainer.optimizers[0].param_groups[0]["lr"]
        if trainer.is_global_zero:
            say(
                "the schedule now spans the run as it is configured, and is taken up at step "
                f"{trainer.global_step}: the learning rate goes on from {before:.3g} at {now:.3g}",
                file=sys.stderr,
            )
