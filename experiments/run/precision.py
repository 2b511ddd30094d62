"""What ``--trainer.precision auto`` stands for."""

from pathlib import Path
from typing import Any

import torch
import yaml

from experiments.run.reading import AUTO_PRECISIONS, config_of
from lit_models.processor import has_bfloat16


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
        before = ((yaml.safe_load(config_of(run)) or {}).get("trainer") or {}).get("precision")
    keeps = before in AUTO_PRECISIONS and (before != "16-mixed" or torch.cuda.is_available())  # which a CPU has not
    return str(before) if keeps else fast_precision(accelerator)
