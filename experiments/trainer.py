"""Lightning's Trainer, as the command line makes it."""

from typing import Any, Literal

from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch import Trainer


class AnyPrecisionTrainer(Trainer):
    """Lightning's Trainer, whose ``precision`` may be typed as ``auto`` too.

    Args:
        precision: Lightning's names, or ``auto``, for which the command line puts in what this machine computes fast
            (``experiments.machine.fast_precision``) before a Trainer is made.
        settings: See Lightning.
    """

    def __init__(self, *, precision: _PRECISION_INPUT | Literal["auto"] | None = None, **settings: Any) -> None:
        super().__init__(precision=precision, **settings)  # type: ignore[arg-type]  # auto is something else by now
