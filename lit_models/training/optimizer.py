"""The optimizer and its learning-rate schedule, built from a model's options."""

from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil, sqrt
from types import MappingProxyType
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import LBFGS, SGD, Optimizer

from lit_models.errors import ConfigError
from lit_models.internals.lightning_parts import train_dataloader_source
from lit_models.internals.torch_parts import FSDP_PREFIX, expect_unscaled_gradients
from lit_models.training.fine_tuning import FineTunedModule
from lit_models.training.muon import Muon, without_muon
from lit_models.training.parameter_groups import parameter_groups, pattern_settings

ScaleRate = Literal["none", "linear", "sqrt"]

EMPTY: Mapping[str, Any] = MappingProxyType({})

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
"""An optimizer's class with all arguments but the parameters, as ``--model.optimizer`` makes it."""


def trainer_optimizer(
    trainer: Trainer, module: FineTunedModule, factory: OptimizerFactory, scale_lr: ScaleRate, axes: Mapping[str, int]
) -> Optimizer:
    """Builds the optimizer that fits a trainer's precision and number of devices; see ``build_optimizer``.

    The learning rate is multiplied before a scheduler reads it: ``linear`` is the rule of Goyal et al. 2017 for SGD,
    ``sqrt`` the usual one for Adam (Krizhevsky 2014).
    """
    fused = trainer.precision != "16-mixed"  # fused steps unscale 16-bit gradients themselves, too late for clipping
    later, patterns = module.fine_tuning.trained_later, module.optimizer_groups
    optimizer = build_optimizer(factory, module, fused, axes, module.lr_decay_by_layer, later, patterns)
    check_closure(trainer, optimizer)
    if fused:
        expect_unscaled_gradients(optimizer)
    devices = trainer.world_size
    if (factor := {"none": 1.0, "linear": float(devices), "sqrt": sqrt(devices)}[scale_lr]) != 1.0:
        for group in (optimizer.defaults, *optimizer.param_groups):
            rate = group["lr"]
            group["lr"] = rate.mul_(factor) if isinstance(rate, torch.Tensor) else rate * factor
    return optimizer


def check_closure(trainer: Trainer, optimizer: Optimizer) -> None:
    """Raises ``ConfigError`` for LBFGS with what its closure, which is called several times a step, does not fit."""
    if not isinstance(optimizer, LBFGS):
        return
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from another class
    accumulates = any(isinstance(callback, GradientAccumulationScheduler) for callback in callbacks)
    reasons = {
        "accumulated gradients, of which it would see the last batch alone": trainer.accumulate_grad_batches > 1
        or accumulates,
        "--trainer.precision 16-mixed": trainer.precision == "16-mixed",
        "gradient clipping, which its line search contradicts": bool(trainer.gradient_clip_val),
    }
    for reason in (reason for reason, holds in reasons.items() if holds):
        raise ConfigError(f"LBFGS does not go with {reason}; leave one of the two out")


def total_steps(trainer: Trainer) -> int:
    """Returns the number of optimizer steps of the whole fit, before it starts.

    ``Trainer.estimated_stepping_batches`` returns the same number, but makes the loaders, and a resumed run's loader
    then loses its position (Lightning issue 20550). A data module without ``train_batches`` makes a second loader.
    """
    if trainer.max_epochs is None or trainer.max_epochs < 0:
        if trainer.max_steps < 0:
            raise ConfigError("a schedule over the whole run needs its length; set --trainer.max_epochs or max_steps")
        return trainer.max_steps
    source = train_dataloader_source(trainer)
    count = getattr(source.instance, "train_batches", lambda: len(source.dataloader()))
    batches, limit = count(), trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from another class
    plan = next((callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)), None)
    batches_per_step = [
        plan.get_accumulate_grad_batches(epoch) if plan else trainer.accumulate_grad_batches
        for epoch in range(trainer.max_epochs)
    ]
    steps = sum(ceil(batches / accumulated) for accumulated in batches_per_step)
    return steps if trainer.max_steps < 0 else min(steps, trainer.max_steps)


def dims(module: nn.Module) -> dict[str, int]:
    """Returns each parameter's number of axes by name; taken before sharding, which flattens parameters."""
    return {name.replace(FSDP_PREFIX, ""): parameter.dim() for name, parameter in module.named_parameters()}


def build_optimizer(
    factory: OptimizerFactory,
    module: nn.Module,
    fused: bool = True,
    axes: Mapping[str, int] | None = None,
    lr_decay: float = 1.0,
    trained_later: Collection[str] = (),
    patterns: Mapping[str, Mapping[str, Any]] = EMPTY,
) -> Optimizer:
    """Builds an optimizer over a module's trainable parameters, whose numbers of axes are those before any sharding.

    Biases and the scales of norms (parameters with fewer than two axes) get no weight decay, as in nanoGPT's
    ``configure_optimizers``: pulling them to zero regularizes nothing. With ``fused``, an optimizer without a chosen
    implementation gets the fused one if there is one; on a CPU Adam's is three to four times as fast as the default,
    with the same arithmetic up to rounding. Of the frozen parameters it gets those that are ``trained_later``. For
    ``lr_decay`` and ``patterns`` see ``FineTunedModule``.
    """
    axes = axes or dims(module)
    named = {name.replace(FSDP_PREFIX, ""): parameter for name, parameter in module.named_parameters()}
    named = {name: value for name, value in named.items() if value.requires_grad or name in trained_later}
    parameters = [*named.values()]
    optimizer = factory([*parameters])
    settings = pattern_settings([*named], patterns, optimizer)
    if isinstance(optimizer, Muon):
        for name in without_muon(module, getattr(module, "num_outputs", 0)):
            settings[name] = {**settings.get(name, {}), "matrices": False}
    groups = parameter_groups(named, axes, optimizer.defaults, lr_decay, settings)
    chosen = [optimizer.defaults.get(name, False) for name in ("fused", "foreach")]
    stuck = isinstance(optimizer, SGD) and any(parameter.itemsize < 4 and parameter.is_cpu for parameter in parameters)
    if stuck and chosen[0]:
        raise ConfigError("torch's fused SGD does not move weights of 16 bits on a CPU; leave fused out")
    if fused and not stuck and chosen == [None, None]:
        return factory(groups, fused=True)  # type: ignore[call-arg]
    return factory(groups)
