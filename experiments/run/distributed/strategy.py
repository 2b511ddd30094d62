"""The Trainer's strategy: its plugins, averaged weights on its device, and FSDP without lost precision."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.plugins import LayerSync, Precision
from lightning.pytorch.strategies import FSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecision
from torch.optim import Optimizer

from experiments.internals.lightning_private import average_on
from experiments.run.record.config_diff import Changes
from experiments.run.resume.optimizer_overrides import OPTIMIZER, SCHEDULE
from lit_models import ConfigError, LitModel
from lit_models.distributed.sync_batch_norm import GlobalBatchNorms


def run_plugins(typed: list[Any], files: CheckpointIO) -> list[Any]:
    """Returns the typed plugins with batch normalization over all devices and atomic checkpoints added."""
    defaults = ((LayerSync, GlobalBatchNorms), (CheckpointIO, lambda: files))
    missing = [make() for kind, make in defaults if not any(isinstance(plugin, kind) for plugin in typed)]
    return [*typed, *missing]


def prepare(trainer: Trainer, model: LitModel, changes: Changes) -> None:
    """Changes defaults of Lightning in a Trainer's strategy.

    - Averaged weights are kept on the strategy's device; Lightning copies every step's weights to the CPU.
    - FSDP casts no parameters, buffers and batches: autocast chooses what is computed in half precision, and float64
      statistics in buffers would lose digits for good.
    - FSDP clips sharded gradients by their norm, which Lightning refuses.
    - Targets and weights of rows keep their precision if the weights are 16-bit (``bf16-true``).

    Raises ConfigError for FSDP with averaged weights or a compiled network, which need whole weights, or with changed
    settings, since it loads a checkpoint without a filter.
    """
    strategy = trainer.strategy
    plugin = strategy.precision_plugin
    if type(plugin).convert_input is not Precision.convert_input:
        plugin.convert_input = partial(_convert_input, plugin.convert_input)  # type: ignore[method-assign]
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    for average in (callback for callback in callbacks if isinstance(callback, WeightAveraging)):
        if isinstance(strategy, FSDPStrategy):
            raise ConfigError(f"{type(average).__name__} cannot average the sharded weights of fsdp; use ddp")
        average_on(average, strategy.root_device)
    if isinstance(strategy, FSDPStrategy):
        if model.compiles:
            raise ConfigError("fsdp does not go with a compiled network; leave --model.compile out, or use ddp")
        changed = [*changes.under(f"{OPTIMIZER}.class_path"), *changes.under(SCHEDULE)]
        changed += [name for name in changes.under("model", "data") if changes.allows(name)]
        if changed:
            raise ConfigError(f"fsdp does not go on with another {changed[0]} than the checkpoint's; use ddp")
        if strategy.mixed_precision is None:
            strategy.mixed_precision = MixedPrecision(cast_root_forward_inputs=False)
        plugin.clip_grad_by_norm = partial(_clip, strategy)  # type: ignore[method-assign]


def whole(trainer: Trainer, model: LitModel) -> LitModel | None:
    """Returns a copy of the model, which whole weights fit, before FSDP shards it; None if its weights stay whole."""
    return copy.deepcopy(model) if isinstance(trainer.strategy, FSDPStrategy) else None


def _convert_input(convert: Callable[[Any], Any], batch: Any) -> Any:
    """Converts a batch to the precision of the weights, except targets and weights of rows."""
    if not isinstance(batch, dict):
        return convert(batch)
    return {**convert(batch), **{name: batch[name] for name in ("y", "share") if name in batch}}


def _clip(strategy: FSDPStrategy, optimizer: Optimizer, clip_val: int | float = 0.0) -> None:
    """Clips by the norm over all processes."""
    cast(FullyShardedDataParallel, strategy.model).clip_grad_norm_(clip_val)
