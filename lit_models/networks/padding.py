"""Operations on sequences padded on the right, with ``lengths`` (N,) int64, each at least 1.

Padding is replaced, never multiplied by zero, so that a NaN in it has no effect.
"""

import torch
from torch import Tensor


def is_padding(lengths: Tensor, steps: int) -> Tensor:
    """Returns (N, T) bool, True from each row's length (N,) on."""
    return torch.arange(steps, device=lengths.device) >= lengths.unsqueeze(1)


def masked_mean(x: Tensor, padding: Tensor | None) -> Tensor:
    """Computes the mean (N, D) of each row's steps (N, T, D) without its padding (N, T), if it has some."""
    if padding is None:
        return x.mean(dim=1)
    total = x.masked_fill(padding.unsqueeze(2), 0.0).sum(dim=1)
    return total / (~padding).sum(dim=1, keepdim=True)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverses each row's steps (N, T, D) and leaves its padding at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.unsqueeze(1) - 1
    source = torch.where(steps <= last, last - steps, steps)  # (N, T)
    return x.gather(1, source.unsqueeze(2).expand_as(x))
