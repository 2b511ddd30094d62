"""Private parts of Lightning, as read in lightning 2.6.6: multi-step execution repeats what its training loop does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


@contextmanager
def inside_hook(model: LightningModule, name: str) -> Iterator[None]:
    """Context in which ``model.log`` takes a value for one of that hook."""
    before, model._current_fx_name = model._current_fx_name, name
    try:
        yield
    finally:
        model._current_fx_name = before


def next_batch(trainer: Trainer, transfer: bool) -> dict[str, Any]:
    """Fetches an epoch's next batch, as ``_TrainingEpochLoop.advance``; without ``transfer`` only if it must move."""
    progress, fetcher = trainer.fit_loop.epoch_loop.batch_progress, trainer.fit_loop._data_fetcher
    assert fetcher is not None
    batch, _, _ = next(fetcher)
    progress.is_last_batch = fetcher.done
    batch = trainer.precision_plugin.convert_input(batch)
    device = trainer.strategy.root_device
    if transfer or not all(isinstance(column, Tensor) and column.device == device for column in batch.values()):
        batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=0)
        batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
    progress.increment_ready()
    trainer._logger_connector.on_batch_start(batch)
    columns: dict[str, Any] = batch
    return columns


def count_stepped_batch(trainer: Trainer) -> None:
    """Advances the step number that loggers get."""
    trainer.fit_loop.epoch_loop._batches_that_stepped += 1


def steps_between_saves(checkpoint: Callback) -> int:
    """Returns every how many optimizer steps a checkpoint callback saves; 0 if it does not go by steps."""
    return getattr(checkpoint, "_every_n_train_steps", 0) or getattr(checkpoint, "every_n_steps", 0)


def train_dataloader_source(trainer: Trainer) -> Any:
    """Returns where the fit loop gets its loader: ``instance`` (module, data module or loader) and ``dataloader()``."""
    return trainer.fit_loop._data_source


def refill_average(callback: WeightAveraging, model: LightningModule) -> None:
    """Replaces the weights that an average starts from, which it copied before ``LightningModule.setup``."""
    if callback._average_model is not None:
        callback._average_model.module.load_state_dict(model.state_dict())
