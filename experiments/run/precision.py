"""What ``--trainer.precision auto`` stands for."""

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch import Trainer

from experiments import safe_yaml
from experiments.run.record.record_io import AUTO_PRECISIONS, config_of
from lit_models.cpu.cpu_features import has_bfloat16


def slowly_computed(precision: str, device: torch.device) -> list[str]:
    """A sentence where a precision that is there to save time costs some: numbers that a CPU has no instructions for.

    Args:
        precision: The Trainer's, such as ``bf16-mixed``.
        device: Where it computes.
    """
    if device.type != "cpu" or not precision.startswith("bf16") or has_bfloat16():
        return []
    return [
        f"this processor has no bfloat16, so that {precision} may take many times as long as float32; "
        "--trainer.precision 32-true trains in float32"
    ]


def whole_floats() -> None:
    """Have cuDNN multiply float32 with all of its bits, as a CPU does, and as torch does in other products.

    Its own choice, TF32, keeps ten bits of 23: a GPU's metrics would differ from those that the same weights have on a
    CPU. ``--trainer.precision bf16-mixed`` is faster yet, and says so in the record. It holds for the whole process.
    """
    torch.backends.cudnn.allow_tf32 = False


class AnyPrecisionTrainer(Trainer):
    """Lightning's Trainer, whose ``precision`` may be typed as ``auto`` too.

    Args:
        precision: Lightning's names, or ``auto`` for what this machine computes fast (``experiments.run.precision``).
        settings: See Lightning.
    """

    def __init__(self, *, precision: _PRECISION_INPUT | Literal["auto"] | None = None, **settings: Any) -> None:
        settled = fast_precision(settings.get("accelerator", "auto")) if precision == "auto" else precision
        super().__init__(precision=settled, **settings)  # type: ignore[arg-type]


def fast_precision(accelerator: Any) -> str:
    """Products in 16 bits where the device has instructions for them, else float32.

    Args:
        accelerator: The Trainer's: ``auto``, ``cpu``, ``gpu`` or ``cuda``; anything else gets float32.
    """
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and has_bfloat16() else "32-true"


def settled_precision(accelerator: Any, run: Path | None) -> str:
    """The same, but for a run that goes on: that keeps its own, wherever it goes on.

    Args:
        accelerator: See ``fast_precision``.
        run: The run's folder, which may be there.
    """
    before = None
    if run is not None and (run / "config.yaml").is_file():
        before = ((safe_yaml.load(config_of(run)) or {}).get("trainer") or {}).get("precision")
    keeps = before in AUTO_PRECISIONS and (before != "16-mixed" or torch.cuda.is_available())  # which a CPU has not
    return str(before) if keeps else fast_precision(accelerator)
