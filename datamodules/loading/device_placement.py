"""Placement of rows: on the training device if they fit, else in pinned memory that it copies from."""

from typing import Literal

import torch
from torch import Tensor

DeviceOption = Literal["auto", "cpu"]
"""auto: on the device that trains, if it has enough memory; cpu: in the computer's memory."""

SHARE = 0.5  # fraction of the device's free memory for rows; the rest is for the network and its gradients


def free_memory(device: torch.device) -> int:
    """Returns the free bytes of a CUDA device; 0 for others, which do not report them."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def placed(tensors: dict[str, Tensor], option: DeviceOption, device: torch.device) -> dict[str, Tensor]:
    """Moves columns to the device if they may be there and fit, all of them or none."""
    size = sum(column.nbytes for column in tensors.values())
    if option == "cpu" or device.type == "cpu" or size > SHARE * free_memory(device):
        return tensors
    return {name: column.to(device) for name, column in tensors.items()}


def pinned(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Pins a batch for a CUDA device, so that its copy is asynchronous."""
    if device.type != "cuda":
        return batch
    return {name: column if column.is_cuda else column.pin_memory() for name, column in batch.items()}
