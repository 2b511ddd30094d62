"""How many steps a block of ``lit_models.blocks`` has, where nobody said."""

import time
from typing import TYPE_CHECKING

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.optim import Optimizer

from lit_models import blocks
from lit_models.errors import ConfigError

if TYPE_CHECKING:
    from lit_models.base import LitModel

SHORT, LONG = 0.1, 0.3
"""Seconds of a block below which the next is twice as long, and above which it is half as long."""

OF_A_BATCH = ("on_train_batch_start", "on_train_batch_end")

OF_THE_MODEL = (
    *("training_step", *OF_A_BATCH, *blocks.WITHIN_A_STEP),
    *("backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step"),
)
"""Methods in which a model may look at each step."""


class Pace:
    """Steps of the coming block.

    Chosen by time, they follow the seconds that blocks take, so that a block is short to a person who waits for the
    bar or a signal, and long to Lightning, whose way from one step to the next is then a small part.

    Args:
        steps: Of every block; None to choose them by time.
    """

    def __init__(self, steps: int | None) -> None:
        self._typed = steps
        self._steps = 1
        self._since: float | None = None

    def restart(self) -> None:
        """What comes between this moment and the next block is none of the last one's time."""
        self._since = None

    def next(self, taken: int) -> int:
        """Steps of the block that begins now.

        Args:
            taken: Steps of the one before, which may have ended early.
        """
        if self._typed is not None:
            return self._typed
        now = time.perf_counter()
        if self._since is not None:
            seconds = now - self._since
            if seconds < SHORT and taken >= self._steps:
                self._steps *= 2
            elif seconds > LONG:
                self._steps = max(1, taken // 2)
        self._since = now
        return self._steps


def check_pace(model: "LitModel", optimizer: Optimizer) -> None:
    """Raise ``ConfigError`` where blocks were typed, and something needs every step to be one of Lightning's."""
    typed = model.steps_per_execution
    reason = "" if typed in (1, "auto") else blocks.obstacle(model, optimizer)
    if reason:
        raise ConfigError(
            f"steps_per_execution {typed} does not go with {reason}; leave --model.steps_per_execution out"
        )


def goes_singly(model: "LitModel", optimizer: Optimizer) -> bool:
    """Whether an epoch's steps are to be single where nobody said: a block could do harm, or somebody looks at steps.

    Those who look are callbacks and profilers, and the model in methods of its own; so they are on any device but a
    CPU.
    """
    trainer = model.trainer
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    profiler = trainer.profiler  # type: ignore[attr-defined]  # as the callbacks
    return (
        model.device.type != "cpu"
        or not isinstance(profiler, PassThroughProfiler)
        or bool(blocks.obstacle(model, optimizer))
        or any(_looks(one) for one in callbacks)
        or any(_is_own(model, name) for name in OF_THE_MODEL)
    )


def _looks(callback: Callback) -> bool:
    """Whether a callback has to see each batch; ours say where a block's end does as well (``block_by_block``)."""
    if getattr(callback, "block_by_block", False):
        return False
    saves = type(callback).on_train_batch_end is ModelCheckpoint.on_train_batch_end  # what it saves ends a block
    hooks = OF_A_BATCH[:1] if saves else OF_A_BATCH
    return any(is_overridden(name, callback, Callback) for name in hooks)


def _is_own(model: "LitModel", name: str) -> bool:
    """Whether the model's class, or the model alone, has another method than ``LitModel``."""
    from lit_models.base import LitModel  # which imports this module

    return name in vars(model) or getattr(type(model), name) is not getattr(LitModel, name)
