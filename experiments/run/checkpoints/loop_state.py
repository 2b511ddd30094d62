"""Where a fit stands, and whether a run can go on from a checkpoint of that moment bit for bit."""

from typing import Any, Literal

from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch import Trainer

Place = Literal["between epochs", "epoch end", "within an epoch"]


def place(trainer: Trainer) -> Place:
    """Where the fit stands, by Lightning's counters."""
    epoch = epochs(trainer)
    if epoch.processed == epoch.completed + 1:
        return "epoch end"
    # An epoch that was announced and has not begun is no epoch yet.
    return "between epochs" if epoch.started == epoch.processed else "within an epoch"


def epochs(trainer: Trainer) -> Any:
    """Lightning's counts of epochs: ready, started, processed and completed."""
    return trainer.fit_loop.epoch_progress.current


def batches(trainer: Trainer) -> Any:
    """Lightning's counts of the epoch's batches; until ``on_train_batch_end`` is over, the last is not completed."""
    return trainer.fit_loop.epoch_loop.batch_progress.current


def is_boundary(trainer: Trainer) -> bool:
    """Whether the fit stands between two steps of an epoch, with no gradients kept and no validation due.

    Never where a loader cannot say how far it is (``state_dict``), where a plateau schedule steps after the batch, and
    at the epoch's last batch, whose checkpoint Lightning takes for one of the next epoch.
    """
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and _is_step(trainer) and not trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def can_go_on(trainer: Trainer, validated: bool) -> bool:
    """Whether a run that goes on from a checkpoint of this moment, whoever writes it, ends as one that was not stopped.

    Args:
        trainer: Of the fit.
        validated: Whether the validation that it is in has come to its ``on_validation_end``.
    """
    if place(trainer) != "within an epoch":
        return True
    return validated and _is_step(trainer) if trainer.validating else is_boundary(trainer)


def _is_step(trainer: Trainer) -> bool:
    """All of the boundary but for the validation."""
    loop, combined = trainer.fit_loop.epoch_loop, trainer.fit_loop._combined_loader
    batch = batches(trainer)
    if combined is None or place(trainer) != "within an epoch" or batch.processed != batch.ready:
        return False
    if loop._num_ready_batches_reached() or loop._should_accumulate():
        return False
    if any(one.reduce_on_plateau and one.interval == "step" for one in trainer.lr_scheduler_configs):
        return False
    return all(isinstance(loader, _Stateful) for loader in combined.flattened)
