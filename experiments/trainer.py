"""Lightning's Trainer, as the command line makes it."""

from typing import Any, Literal

from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch import Trainer

from experiments.run.precision import fast_precision


class AnyPrecisionTrainer(Trainer):
    """Lightning's Trainer, whose ``precision`` may be typed as ``auto`` too.

    Args:
        precision: Lightning's names, or ``auto`` for what this machine computes fast (``experiments.run.precision``).
        settings: See Lightning.
    """

    def __init__(self, *, precision: _PRECISION_INPUT | Literal["auto"] | None = None, **settings: Any) -> None:
        settled = fast_precision(settings.get("accelerator", "auto")) if precision == "auto" else precision
        super().__init__(precision=settled, **settings)  # type: ignore[arg-type]
