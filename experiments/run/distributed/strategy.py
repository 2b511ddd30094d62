"""What the Trainer's strategy asks of a run: averages on its device, and under FSDP numbers and weights kept whole."""

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

from experiments.run.record.config_diff import Changes
from experiments.run.resume.optimizer_overrides import OPTIMIZER, SCHEDULE
from lit_models import ConfigError, LitModel
from lit_models.distributed.sync_batch_norm import GlobalBatchNorms


def run_plugins(typed: list[Any], files: CheckpointIO) -> list[Any]:
    """Add what makes batch normalization that of all devices, and what writes checkpoints.

    Args:
        typed: The plugins that the configuration names.
        files: Writes checkpoints where nobody typed a way of their own.
    """
    plugins = typed
    if not any(isinstance(plugin, LayerSync) for plugin in plugins):
        plugins = [*plugins, GlobalBatchNorms()]
    own = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
    return plugins if own else [*plugins, files]


def prepare(trainer: Trainer, model: LitModel, changes: Changes) -> None:
    """Settle what nobody chose.

    Lightning makes averaged weights where the model is ahead of the fit, on the CPU, and copies every step's there. And
    it has FSDP cast parameters, buffers and batches, so that statistics in float64 lose digits, for good, since buffers
    are saved as they were cast: what is to be done in half precision autocast knows by itself. It clips no sharded
    gradients by their norm. Where weights have half the bits (``bf16-true``), targets would get as few.

    Raises:
        ConfigError: For averages of weights that FSDP shares out, of which each process has but a part, and for
            compiled networks, in which it would have to put the parts; for changes since a checkpoint, which it reads
            without asking anybody what to leave out.
    """
    strategy = trainer.strategy
    plugin = strategy.precision_plugin
    if type(plugin).convert_input is not Precision.convert_input:
        plugin.convert_input = partial(_converted, plugin.convert_input)  # type: ignore[method-assign]
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set from another class
    for average in (one for one in callbacks if isinstance(one, WeightAveraging)):
        if isinstance(strategy, FSDPStrategy):
            raise ConfigError(f"{type(average).__name__} averages no weights that fsdp shares out; use ddp")
        average._device = average._device or strategy.root_device
    if isinstance(strategy, FSDPStrategy):
        if model.compiles:
            raise ConfigError("fsdp does not go with a compiled network; leave --model.compile out, or use ddp")
        changed = [*changes.under(f"{OPTIMIZER}.class_path"), *changes.under(SCHEDULE)]
        changed += [name for part in ("model", "data") for name in changes.under(part) if changes.allows(name)]
        if changed:
            raise ConfigError(f"fsdp does not go on with another {changed[0]} than the checkpoint's; use ddp")
        if strategy.mixed_precision is None:
            strategy.mixed_precision = MixedPrecision(cast_root_forward_inputs=False)
        plugin.clip_grad_by_norm = partial(_clip, strategy)  # type: ignore[method-assign]


def whole(trainer: Trainer, model: LitModel) -> LitModel | None:
    """The model ahead of a fit that leaves every process with a part of its weights, which no checkpoint fits.

    None where they stay whole.
    """
    return copy.deepcopy(model) if isinstance(trainer.strategy, FSDPStrategy) else None


def _converted(convert: Callable[[Any], Any], batch: Any) -> Any:
    """A batch in the precision of the weights, but for what is measured against and what weighs."""
    if not isinstance(batch, dict):
        return convert(batch)
    return {**convert(batch), **{name: batch[name] for name in ("y", "share") if name in batch}}


def _clip(strategy: FSDPStrategy, optimizer: Optimizer, clip_val: int | float = 0.0) -> None:
    """By the norm that all processes together know, as torch has it for sharded gradients."""
    cast(FullyShardedDataParallel, strategy.model).clip_grad_norm_(clip_val)
