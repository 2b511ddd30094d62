"""Which devices a run takes where nobody says, and how exact their float32 is."""

from typing import Any

import torch
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.accelerators import MPSAccelerator

CLUSTERS = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment)


def device_defaults() -> dict[str, Any]:
    """The Trainer's flags of devices where none is typed: one GPU where there is one, else the CPU.

    Lightning's own take every GPU, and another number of them on another machine, which a batch may not divide by; and
    Apple's GPU, which has no float64. Where a cluster has started several processes, they are as many as it started.
    """
    devices = {} if any(one.detect() for one in CLUSTERS) else {"devices": 1}
    return {**devices, "accelerator": "cpu"} if MPSAccelerator.is_available() else devices


def whole_floats() -> None:
    """Have cuDNN multiply float32 with all of its bits, as a CPU does, and as torch does in other products.

    Its own choice, TF32, keeps ten bits of 23: a GPU's metrics would differ from those that the same weights have on a
    CPU. ``--trainer.precision bf16-mixed`` is faster yet, and says so in the record.
    """
    torch.backends.cudnn.allow_tf32 = False
