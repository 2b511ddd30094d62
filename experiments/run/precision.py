"""Floating-point precision: ``--trainer.precision auto``, TF32, and a note about slow precisions."""

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from typing_extensions import override

from experiments import safe_yaml
from experiments.internals.lightning_private import PrecisionInput
from experiments.run.record.record_io import AUTO_PRECISIONS, config_of
from lit_models.cpu.cpu_features import has_bfloat16
from lit_models.training.optimizer import total_steps


class AnyPrecisionTrainer(Trainer):
    """Lightning's Trainer, whose ``precision`` may also be ``auto``, the fastest safe one here."""

    def __init__(self, *, precision: PrecisionInput | Literal["auto"] | None = None, **settings: Any) -> None:
        resolved = fast_precision(settings.get("accelerator", "auto")) if precision == "auto" else precision
        super().__init__(precision=resolved, **settings)  # type: ignore[arg-type]

    @property
    @override
    def estimated_stepping_batches(self) -> int | float:
        """Optimizer steps of the whole fit; Lightning's own makes a resumed loader lose its position (PL#20550)."""
        is_ours = hasattr(getattr(self, "datamodule", None), "train_batches")
        return total_steps(self) if is_ours else super().estimated_stepping_batches


def fast_precision(accelerator: Any) -> str:
    """Returns a 16-bit mixed precision if the Trainer's device has instructions for it, else float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and has_bfloat16() else "32-true"


def resolved_precision(accelerator: Any, run: Path | None) -> str:
    """Returns the precision for ``auto``: that of the run if it is resumed, on whatever device, else the fast one."""
    before = None
    if run is not None and (run / "config.yaml").is_file():
        before = ((safe_yaml.load(config_of(run)) or {}).get("trainer") or {}).get("precision")
    keeps = before in AUTO_PRECISIONS and (before != "16-mixed" or torch.cuda.is_available())  # CPUs lack 16-mixed
    return str(before) if keeps else fast_precision(accelerator)


def slow_precision_notes(precision: str, device: torch.device) -> list[str]:
    """Returns a note if the precision is slower than float32 because the CPU lacks its instructions."""
    if device.type != "cpu" or not precision.startswith("bf16") or has_bfloat16():
        return []
    return [
        f"this processor has no bfloat16, so that {precision} may take many times as long as float32; "
        "--trainer.precision 32-true trains in float32"
    ]


def disable_tf32() -> None:
    """Has cuDNN multiply float32 with all of its bits, as a CPU does and as torch does in other products.

    cuDNN's default, TF32, keeps ten bits of 23: the metrics of the same weights would differ from those on a CPU. Holds
    for the whole process.
    """
    torch.backends.cudnn.allow_tf32 = False
