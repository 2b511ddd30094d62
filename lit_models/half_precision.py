"""What keeps its bits where weights have half of them (``bf16-true``, ``16-true``): losses and what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def at_least_float32(outputs: Tensor) -> Tensor:
    """Numbers for a loss or a metric: float64 as it is (``64-true``), anything narrower as float32."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()


@contextmanager
def buffers_keep_bits(module: nn.Module, dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Let a module's buffers follow to another device or ``dtype``, but not to fewer bits than this one has.

    Class weights and statistics of targets are measured from all rows; in bfloat16 they would keep three digits, and a
    loss of float32 outputs would refuse them.
    """
    before = [(owner, dict(owner.named_buffers(recurse=False))) for owner in module.modules()]
    yield
    for owner, buffers in before:
        for name, kept in buffers.items():
            now = owner.get_buffer(name)
            if kept.is_floating_point() and now.dtype.itemsize < min(kept.dtype.itemsize, dtype.itemsize):
                setattr(owner, name, kept.to(now.device))
