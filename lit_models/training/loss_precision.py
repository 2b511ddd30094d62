"""What keeps its bits where weights have half of them (``bf16-true``, ``16-true``): losses and what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def at_least_float32(outputs: Tensor) -> Tensor:
    """Numbers for a loss or a metric: float64 as it is (``64-true``), anything narrower as float32."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()


def loss_of(loss: nn.Module, outputs: Tensor, target: Tensor) -> Tensor:
    """The loss, with the outputs' dtype as torch's default, in which it makes tensors of its own.

    Lightning's default within a step is the weights' dtype, and outside of one float32; the outputs have neither in
    ``bf16-true`` and ``64-true``.
    """
    before = torch.get_default_dtype()
    if outputs.dtype == before:
        value: Tensor = loss(outputs, target)
        return value
    torch.set_default_dtype(outputs.dtype)
    try:
        value = loss(outputs, target)
    finally:
        torch.set_default_dtype(before)
    return value


@contextmanager
def keep_bits(module: nn.Module, dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Let a module follow to another device or ``dtype``, but its numbers not to fewer bits than this one has.

    Class weights and statistics of targets are measured from all rows; in bfloat16 they would keep three digits, and a
    loss of float32 outputs would refuse them, as it would parameters of its own.
    """
    before = [one.data for one in _tensors(module)]
    yield
    for now, kept in zip(_tensors(module), before, strict=True):
        if kept.is_floating_point() and now.dtype.itemsize < min(kept.dtype.itemsize, dtype.itemsize):
            now.data = kept.to(now.device)


def _tensors(module: nn.Module) -> list[Tensor]:
    named = (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False))
    return [one for _, one in named]
