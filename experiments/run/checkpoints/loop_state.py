"""Position of a fit in its epochs and batches, and whether a checkpoint at it can be resumed exactly."""

from typing import Any, Literal

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import CombinedLoader

from experiments.internals.lightning_private import is_accumulating, is_last_batch, is_validation_due

Position = Literal["between epochs", "epoch end", "within an epoch"]


def position(trainer: Trainer) -> Position:
    """Returns the position of the fit, by Lightning's counters."""
    epoch = epoch_counts(trainer)
    if epoch.processed == epoch.completed + 1:
        return "epoch end"
    return "between epochs" if epoch.started == epoch.processed else "within an epoch"


def epoch_counts(trainer: Trainer) -> Any:
    """Returns Lightning's counts of epochs: ready, started, processed and completed."""
    return trainer.fit_loop.epoch_progress.current


def batch_counts(trainer: Trainer) -> Any:
    """Returns Lightning's counts of the epoch's batches; a batch is completed after ``on_train_batch_end``."""
    return trainer.fit_loop.epoch_loop.batch_progress.current


def train_loaders(trainer: Trainer) -> list[Any]:
    """Returns the training loaders; empty before they are made."""
    loaders = trainer.train_dataloader
    return [] if loaders is None else CombinedLoader(loaders).flattened


def is_boundary(trainer: Trainer) -> bool:
    """Returns True between two steps of an epoch, with no gradients kept and no validation due.

    It is False at the epoch's last batch, whose checkpoint Lightning takes for one of the next epoch.
    """
    return not is_validation_due(trainer) and _is_step(trainer)


def is_resumable(trainer: Trainer, validated: bool) -> bool:
    """Returns True if a run resumed from a checkpoint at this moment ends as the uninterrupted run.

    ``validated`` is True if the current validation is past ``on_validation_end``.
    """
    if position(trainer) != "within an epoch":
        return True
    return validated and _is_step(trainer) if trainer.validating else is_boundary(trainer)


def _is_step(trainer: Trainer) -> bool:
    """Returns True at a boundary, except that a validation may be due."""
    loaders, batch = train_loaders(trainer), batch_counts(trainer)
    return (
        bool(loaders)
        and position(trainer) == "within an epoch"
        and batch.processed == batch.ready
        and not (is_last_batch(trainer) or is_accumulating(trainer))
        and not any(config.reduce_on_plateau and config.interval == "step" for config in trainer.lr_scheduler_configs)
        and all(hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict") for loader in loaders)
    )
