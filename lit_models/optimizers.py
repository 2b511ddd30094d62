"""From an optimizer's settings and a network to the optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""An optimizer's class with everything but the parameters: what ``--model.optimizer`` makes."""


def build_optimizer(factory: OptimizerFactory, module: nn.Module, fused: bool = True) -> Optimizer:
    """An optimizer over the module's trainable parameters.

    Biases and the scales of norms (everything with fewer than two axes) get no weight decay, as in nanoGPT's
    ``configure_optimizers``: pulling them to zero regularizes nothing.

    Args:
        factory: Makes the optimizer from parameters or parameter groups.
        module: Whose parameters to optimize.
        fused: Take the one-kernel step where the optimizer has one and nobody chose an implementation; on CPU
            Adam's is three to four times as fast as the default, with the same arithmetic up to rounding.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = factory(parameters)
    groups: list[Any] = parameters
    if "weight_decay" in optimizer.defaults:
        decayed = [parameter for parameter in parameters if parameter.dim() >= 2]
        spared = [parameter for parameter in parameters if parameter.dim() < 2]
        groups = [{"params": decayed}, {"params": spared, "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    chosen = [optimizer.defaults.get(name, False) for name in ("fused", "foreach")]
    if fused and chosen == [None, None]:
        return factory(groups, fused=True)  # type: ignore[call-arg]
    return factory(groups)
