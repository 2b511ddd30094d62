"""Sequences padded on the right to one length, their ``lengths`` (N,) int64, each at least 1.

Padding is replaced, never multiplied by zero, so that not even a NaN in it comes through.
"""

import torch
from torch import Tensor


def is_padding(lengths: Tensor, steps: int) -> Tensor:
    """(N,) -> (N, T) bool, True from each row's length on."""
    return torch.arange(steps, device=lengths.device) >= lengths.unsqueeze(1)


def masked_mean(x: Tensor, padding: Tensor) -> Tensor:
    """(N, T, D) and (N, T) -> (N, D), the mean of each row's steps without its padding."""
    total = x.masked_fill(padding.unsqueeze(2), 0.0).sum(dim=1)
    return total / (~padding).sum(dim=1, keepdim=True)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, T, D) -> (N, T, D), each row's steps in reverse order and its padding where it was."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.unsqueeze(1) - 1
    source = torch.where(steps <= last, last - steps, steps)  # (N, T)
    return x.gather(1, source.unsqueeze(2).expand_as(x))
