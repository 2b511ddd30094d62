"""The learning rate where devices were added on purpose."""

from math import sqrt
from typing import Literal

import torch
from torch.optim import Optimizer

ScaleRate = Literal["none", "linear", "sqrt"]


def scale_rate(optimizer: Optimizer, how: ScaleRate, world_size: int) -> None:
    """Multiply the rate with the number of devices, or its root.

    ``linear`` is the rule of Goyal et al. 2017 for SGD, ``sqrt`` the usual one for Adam (Krizhevsky 2014).

    Args:
        optimizer: Before anything was made of its rate.
        how: The rule.
        world_size: Number of devices.
    """
    factor = {"none": 1.0, "linear": float(world_size), "sqrt": sqrt(world_size)}[how]
    if factor == 1.0:
        return
    for settings in (optimizer.defaults, *optimizer.param_groups):
        rate = settings["lr"]
        settings["lr"] = rate.mul_(factor) if isinstance(rate, torch.Tensor) else rate * factor
