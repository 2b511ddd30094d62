"""Removes checkpoint entries that changed settings invalidate."""

from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule

from experiments.run.record.config_diff import Changes
from experiments.run.resume.optimizer_overrides import OPTIMIZER, SCHEDULE
from lit_models import ConfigError

GROUPS = ("model.freeze", "model.unfreeze_epoch", "model.lr_decay_by_layer", "model.optimizer_groups")
"""Settings that decide how parameters are grouped, which the state of an optimizer and a schedule depends on."""


def filter_checkpoint(
    model: LightningModule, data: LightningDataModule, changes: Changes, checkpoint: dict[str, Any]
) -> None:
    """Removes the state of a replaced optimizer or schedule, and of data and weights that were allowed to change."""
    if "state_dict" not in checkpoint:
        raise ConfigError("the checkpoint has no state_dict; name another one")
    if changes.under(f"{OPTIMIZER}.class_path", *GROUPS):
        checkpoint["optimizer_states"] = []
    if changes.under(SCHEDULE) or changes.under(*GROUPS):
        checkpoint["lr_schedulers"] = []
    if any(changes.allows(name) and name != "data.batch_size" for name in changes.under("data")):
        checkpoint.pop(type(data).__qualname__, None)  # the split and the statistics
    _fit_weights(model, checkpoint, any(changes.allows(name) for name in changes.under("model")))


def _fit_weights(model: LightningModule, checkpoint: dict[str, Any], may_differ: bool) -> None:
    ours, theirs = model.state_dict(), checkpoint["state_dict"]
    differing = [name for name in {**ours, **theirs} if _shape(ours.get(name)) != _shape(theirs.get(name))]
    if not differing:
        return
    if not may_differ:
        name = differing[0]
        raise ConfigError(
            f"the checkpoint is of another architecture: {name} is {_shape(theirs.get(name))} in it and "
            f"{_shape(ours.get(name))} in this {type(model).__name__}; leave --model as the checkpoint has it"
        )
    for name in differing:
        theirs.pop(name, None)
    theirs.update({name: ours[name] for name in differing if name in ours})
    checkpoint["optimizer_states"] = []  # its moments have the old shapes


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if hasattr(value, "shape") else None
