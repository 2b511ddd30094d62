"""From an optimizer's settings and a network to the optimizer."""

from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lit_models.errors import ConfigError

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


WRAPPED = "_fsdp_wrapped_module."
"""What fully sharded training puts into parameters' names."""

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""An optimizer's class with everything but the parameters: what ``--model.optimizer`` makes."""


def dims(module: nn.Module) -> dict[str, int]:
    """How many axes each parameter has, by its name; fully sharded ones are flat pieces of themselves later on."""
    return {name.replace(WRAPPED, ""): parameter.dim() for name, parameter in module.named_parameters()}


def build_optimizer(
    factory: OptimizerFactory, module: nn.Module, fused: bool = True, axes: Mapping[str, int] | None = None
) -> Optimizer:
    """An optimizer over the module's trainable parameters.

    Biases and the scales of norms (everything with fewer than two axes) get no weight decay, as in nanoGPT's
    ``configure_optimizers``: pulling them to zero regularizes nothing.

    Args:
        factory: Makes the optimizer from parameters or parameter groups.
        module: Whose parameters to optimize.
        fused: Take the one-kernel step where the optimizer has one and nobody chose an implementation; on CPU
            Adam's is three to four times as fast as the default, with the same arithmetic up to rounding.
        axes: What ``dims`` said of the module ahead of any sharding.

    Raises:
        ConfigError: For a fused SGD over weights of 16 bits on a CPU, most of which torch 2.13 leaves as they are.
    """
    axes = axes or dims(module)
    named = [(name.replace(WRAPPED, ""), one) for name, one in module.named_parameters() if one.requires_grad]
    parameters = [parameter for _, parameter in named]
    optimizer = factory(parameters)
    groups: list[Any] = parameters
    if "weight_decay" in optimizer.defaults:
        decayed = [parameter for name, parameter in named if axes[name] >= 2]
        spared = [parameter for name, parameter in named if axes[name] < 2]
        groups = [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    chosen = [optimizer.defaults.get(name, False) for name in ("fused", "foreach")]
    stuck = isinstance(optimizer, SGD) and any(one.itemsize < 4 and one.is_cpu for one in parameters)
    if stuck and chosen[0]:
        raise ConfigError("torch's fused SGD does not move weights of 16 bits on a CPU; leave fused out")
    if fused and not stuck and chosen == [None, None]:
        return factory(groups, fused=True)  # type: ignore[call-arg]
    return factory(groups)
