"""How many steps a block of ``lit_models.blocks`` has, where nobody said."""

import time
from typing import TYPE_CHECKING

from lightning.pytorch import Callback
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

KNOWN = (
    *("experiments.", "lit_models.", "lightning.pytorch.core."),
    *("lightning.pytorch.callbacks.model_checkpoint", "lightning.pytorch.callbacks.progress."),
)
"""Homes of hooks that do the same at a block's end as behind every step of it."""


class Pace:
    """Steps of the coming block.

    Chosen by time, they follow the seconds that blocks take, so that a block is short to a person who waits for the
    bar or a signal, and long to Lightning, whose way from one step to the next is then a small part. However long
    blocks are, the run's numbers are the same.

    Args:
        steps: Of every block; 0 to choose them by time.
    """

    def __init__(self, steps: int) -> None:
        self._chosen = steps
        self._steps, self._since = 1, 0.0

    def restart(self) -> None:
        """What comes between this moment and the next block is none of the last one's time."""
        self._since = 0.0

    def next(self) -> int:
        """Steps of the block that begins now."""
        if self._chosen:
            return self._chosen
        now = time.perf_counter()
        if self._since:
            seconds = now - self._since
            if seconds < SHORT:
                self._steps *= 2
            elif seconds > LONG:
                self._steps = max(1, self._steps // 2)
        self._since = now
        return self._steps


def pace_of(model: "LitModel", optimizer: Optimizer) -> Pace:
    """The pace of a fit: as typed, or by time where a block can do no harm, and single steps where it may.

    Raises:
        ConfigError: Where blocks were typed, and something needs every step to be one of Lightning's.
    """
    typed = model.steps_per_execution
    reason = "" if typed == 1 else blocks.obstacle(model, optimizer)
    if typed == "auto":
        return Pace(1 if reason or _is_watched(model) else 0)
    if reason:
        raise ConfigError(
            f"steps_per_execution {typed} does not go with {reason}; leave --model.steps_per_execution out"
        )
    return Pace(typed)


def _is_watched(model: "LitModel") -> bool:
    """Whether anybody looks at single steps, which are then left single; so they are where the device is no CPU."""
    callbacks: list[Callback] = model.trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    hooks = [
        *(getattr(type(one), name) for one in callbacks for name in OF_A_BATCH if is_overridden(name, one, Callback)),
        *(getattr(type(model), name) for name in ("training_step", *OF_A_BATCH)),
    ]
    profiler = model.trainer.profiler  # type: ignore[attr-defined]  # as the callbacks
    profiled = not isinstance(profiler, PassThroughProfiler)
    return profiled or model.device.type != "cpu" or not all(hook.__module__.startswith(KNOWN) for hook in hooks)
