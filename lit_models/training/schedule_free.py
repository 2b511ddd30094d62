"""Schedule-free optimizers (Defazio et al. 2024), whose averaged weights are evaluated and saved."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch.optim import Optimizer
from typing_extensions import override

from lit_models.errors import ConfigError
from lit_models.schedules.schedule import class_of

KEY = "schedule_free_weights"
"""Key of a checkpoint that holds the weights at which gradients are taken; its state dict has their average."""


def is_schedule_free(factory: Callable[..., Any]) -> bool:
    """Returns True for an optimizer with the two modes of the package ``schedulefree``."""
    cls = class_of(factory, Optimizer)
    return callable(getattr(cls, "train", None)) and callable(getattr(cls, "eval", None))


class ScheduleFreeModes(Callback):
    """Switches the optimizer to its average for validation, checkpoints and the end, and back to training.

    A save leaves the weights in training bit for bit as they are: switching back and forth would round them, and a run
    that saves more often would be another one.
    """

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._set(trainer, training=True)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._set(trainer, training=False)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._set(trainer, training=True)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._set(trainer, training=False)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        optimizers: list[Any] = trainer.optimizers if trainer.state.fn == TrainerFn.FITTING else []
        for optimizer in (one for one in optimizers if one.param_groups[0]["train_mode"]):
            trained = {name: value.detach().clone() for name, value in pl_module.named_parameters()}
            optimizer.eval()
            average = {name: value.detach().clone() for name, value in pl_module.named_parameters()}
            with torch.no_grad():
                for name, value in pl_module.named_parameters():
                    value.copy_(trained[name])
            for group in optimizer.param_groups:
                group["train_mode"] = True
            checkpoint["state_dict"] = {**checkpoint["state_dict"], **average}
            checkpoint[KEY] = trained

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING and KEY in checkpoint:
            pl_module.load_state_dict(checkpoint[KEY], strict=False)

    @staticmethod
    def _set(trainer: Trainer, training: bool) -> None:
        optimizers: list[Any] = trainer.optimizers if trainer.state.fn == TrainerFn.FITTING else []
        for optimizer in optimizers:
            (optimizer.train if training else optimizer.eval)()


def check_schedule_free(trainer: Trainer, optimizer: Optimizer, has_schedule: bool) -> None:
    """Raises ``ConfigError`` for what a schedule-free optimizer does itself, or what would save other weights."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    averages = [one for one in callbacks if isinstance(one, WeightAveraging | StochasticWeightAveraging)]
    bare = any(isinstance(one, ModelCheckpoint) and one.save_weights_only for one in callbacks)
    reasons = {
        "--model.schedule, which it replaces (warmup_steps is its warm-up)": has_schedule,
        **{f"{type(one).__name__}, since it averages the weights itself": True for one in averages},
        "save_weights_only, since a checkpoint needs both sets of weights": bare,
        "fsdp, whose weights are sharded": isinstance(trainer.strategy, FSDPStrategy),
    }
    for reason in (reason for reason, holds in reasons.items() if holds):
        raise ConfigError(f"{type(optimizer).__name__} does not go with {reason}; leave one of the two out")
