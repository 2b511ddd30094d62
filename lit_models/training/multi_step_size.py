"""How many optimizer steps a block of multi-step execution has, and when it must be one."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import optim
from torch.optim import LBFGS, Optimizer

SHORT, LONG = 0.1, 0.3
"""Seconds of a block below which the next one is twice as long, and above which it is half as long."""

STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
"""Callback hooks that are not called for the steps taken ahead."""

BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")

MODEL_METHODS = (
    *("training_step", *BATCH_HOOKS, *STEP_HOOKS),
    *("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"),
)
"""Methods in which a model may observe each step."""

WITHOUT_CLOSURE = {
    value for value in vars(optim).values() if isinstance(value, type) and issubclass(value, Optimizer)
} - {Optimizer, LBFGS}
"""Optimizers that need no closure; what a subclass does in its step is unclear."""


class MultiStepSize:
    """Chooses the number of steps of the coming block: ``steps``, or by time if that is None.

    Such a block is short to a person who waits for the progress bar or a signal, and long to Lightning, whose dispatch
    from one step to the next then takes a small fraction.
    """

    def __init__(self, steps: int | None) -> None:
        self._chosen = steps
        self._steps = 1
        self._since: float | None = None

    def restart(self) -> None:
        """Restarts the timer."""
        self._since = None

    def next(self, taken: int) -> int:
        """Returns the steps of the block that begins now; of the one before ``taken`` were taken."""
        if self._chosen is not None:
            return self._chosen
        now = time.perf_counter()
        if self._since is not None:
            seconds = now - self._since
            if seconds < SHORT and taken >= self._steps:
                self._steps *= 2
            elif seconds > LONG:
                self._steps = max(1, taken // 2)
        self._since = now
        return self._steps


def obstacle(trainer: Trainer, model: LightningModule, optimizer: Optimizer) -> str:
    """Returns why multi-step execution is impossible, or an empty string."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from another class
    within = [callback for callback in callbacks if _overrides(callback, STEP_HOOKS)]
    within += [callback for callback in callbacks if isinstance(callback, WeightAveraging | StochasticWeightAveraging)]
    planned = any(isinstance(callback, GradientAccumulationScheduler) for callback in callbacks)
    needs_closure = type(optimizer) not in WITHOUT_CLOSURE
    reasons = {
        "accumulated gradients": trainer.accumulate_grad_batches > 1 or planned,
        "several devices": not isinstance(trainer.strategy, SingleDeviceStrategy),
        "16-mixed, whose gradients are scaled (bf16-mixed does)": trainer.precision == "16-mixed",
        f"{type(optimizer).__name__}, which may evaluate the loss several times a step": needs_closure,
        f"{type(model).__name__}'s own optimizer_step": is_overridden("optimizer_step", model),
        **{f"{type(callback).__name__}, which acts within each step": True for callback in within},
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def runs_single_steps(trainer: Trainer, model: LightningModule, base: type[LightningModule]) -> bool:
    """Returns True if auto mode must run single steps because a callback or the model observes each one.

    So it must with a profiler, and on any device but a CPU, which does not wait for Lightning.
    """
    return (
        model.device.type != "cpu"
        or not isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
        or bool(obstacle(trainer, model, trainer.optimizers[0]))
        or any(map(_observes_steps, trainer.callbacks))  # type: ignore[attr-defined]
        or any(name in vars(model) or getattr(type(model), name) is not getattr(base, name) for name in MODEL_METHODS)
    )


def _overrides(callback: Callback, hooks: tuple[str, ...]) -> bool:
    """Returns True for such a hook, unless a call at each block's end is enough for it (``block_by_block``)."""
    aware = getattr(callback, "block_by_block", False)
    return not aware and any(is_overridden(name, callback, Callback) for name in hooks)


def _observes_steps(callback: Callback) -> bool:
    # A block ends wherever ModelCheckpoint saves, so that its own on_train_batch_end is aware of blocks.
    saves = type(callback).on_train_batch_end is ModelCheckpoint.on_train_batch_end
    return _overrides(callback, BATCH_HOOKS[:1] if saves else BATCH_HOOKS)
