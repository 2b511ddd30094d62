"""Where rows wait to be trained on: on the device where they fit, else in memory that it copies from by itself."""

from typing import Literal

import torch
from torch import Tensor

DeviceOption = Literal["auto", "cpu"]
"""auto: on the device that trains, where there is room; cpu: in the computer's memory."""

SHARE = 0.5
"""How much of the device's free memory rows may take; the rest is for the network and its gradients."""


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device; 0 elsewhere, where nobody can say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def placed(tensors: dict[str, Tensor], option: DeviceOption, device: torch.device) -> dict[str, Tensor]:
    """Columns on the device where they may and fit, all of them or none."""
    size = sum(column.nbytes for column in tensors.values())
    if option == "cpu" or device.type == "cpu" or size > SHARE * free_memory(device):
        return tensors
    return {name: column.to(device) for name, column in tensors.items()}


def pinned(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch that a CUDA device copies while the processor goes on; for other devices as it is."""
    if device.type != "cuda":
        return batch
    return {name: column if column.is_cuda else column.pin_memory() for name, column in batch.items()}
