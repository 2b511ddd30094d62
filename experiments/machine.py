"""Which devices a run takes where nobody says, how exact their float32 is, and what they lack."""

import os
from typing import Any

import torch
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.accelerators import MPSAccelerator

from lit_models.processor import has_bfloat16


def started() -> tuple[str, int] | None:
    """Who has started this process beside others, and how many in all; None where nobody has, or does not say it."""
    if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ:  # a batch script's own commands are alone
        return "SLURM", int(os.environ["SLURM_NTASKS"])
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    return None


def device_defaults() -> dict[str, Any]:
    """The Trainer's flags of devices where none is typed: one GPU where there is one, else the CPU.

    Lightning's own take every GPU, and another number of them on another machine, which a batch may not divide by; and
    Apple's GPU, which has no float64. Under torchrun and SLURM they are as many as were started.
    """
    devices: dict[str, Any] = {"devices": 1}
    together = started()
    if together is not None:
        who, processes = together
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        here = max(1, processes // nodes) if who == "SLURM" else int(os.environ["LOCAL_WORLD_SIZE"])
        devices = {"devices": here, "num_nodes": max(1, processes // here)}
    elif LSFEnvironment.detect() or MPIEnvironment.detect():
        devices = {}
    return {**devices, "accelerator": "cpu"} if MPSAccelerator.is_available() else devices


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
