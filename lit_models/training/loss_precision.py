"""Losses in full precision, also if the weights have half of it (``bf16-true``, ``16-true``)."""

from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError
from lit_models.internals.torch_parts import KeepPrecision

Loss = TypeVar("Loss", bound=nn.Module)


def keep_precision(loss: Loss) -> Loss:
    """Makes a loss keep at least float32, in place: it then moves to other devices, but not to fewer bits.

    Class weights would keep three digits in bfloat16, and a loss of float32 outputs would refuse them. As in
    ``torch.nn.utils.parametrize``, the loss gets a subclass of its own class, and its names in checkpoints stay.
    """
    if not isinstance(loss, KeepPrecision):
        original: Any = type(loss)
        try:
            loss.__class__ = _precise(original)
        except TypeError as error:  # of a metaclass, or of an object with slots
            raise ConfigError(
                f"the loss {original.__name__} allows no subclass, which keeps its bits: {error}"
            ) from error
    return loss


@cache
def _precise(loss: Any) -> Any:
    names = {"__module__": loss.__module__, "__qualname__": loss.__qualname__, "__reduce__": _reduce}
    return type(loss.__name__, (KeepPrecision, loss), names)


def _reduce(loss: nn.Module) -> Any:
    """Pickles by the original class, since a class that is made while running is found in no module."""
    return _unpickled, (type(loss).__mro__[2],), loss.__getstate__()


def _unpickled(original: Any) -> nn.Module:
    loss: nn.Module = original.__new__(original)
    loss.__class__ = _precise(original)
    return loss


def at_least_float32(outputs: Tensor) -> Tensor:
    """Casts outputs for a loss or metric: float64 stays (``64-true``), anything narrower becomes float32."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()


def loss_of(loss: nn.Module, outputs: Tensor, target: Tensor) -> Tensor:
    """Computes a loss with the outputs' dtype as torch's default, in which losses create tensors.

    Lightning's default dtype is the weights' within a step, and float32 outside of one. In ``bf16-true`` and
    ``64-true`` outputs have neither.
    """
    before = torch.get_default_dtype()
    try:
        if outputs.dtype != before:
            torch.set_default_dtype(outputs.dtype)
        value: Tensor = loss(outputs, target)
    finally:
        if outputs.dtype != before:
            torch.set_default_dtype(before)
    return value
