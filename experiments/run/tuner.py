"""Lightning's finders of a batch size and a rate, ahead of the fit: what they find is set as if it had been typed."""

from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder

from datamodules import DataModule
from experiments.run.checkpoints.checkpoint_io import SafeCheckpointIO
from experiments.run.cpu_speed import Heap
from lit_models import ConfigError, LitModel

BATCH_SIZE, RATE = "data.init_args.batch_size", "model.init_args.optimizer.init_args.lr"

LONG = 1000
"""Epochs that a search may take; it ends itself after a number of steps."""


def take(config: Namespace) -> list[Namespace]:
    """The finders among the callbacks of a fit's configuration, which are taken out of it: they have no part in a fit.

    The batch size is to be found first, since the rate depends on it. Nothing is to be found for a ``fast_dev_run``, in
    which Lightning's finders do nothing.
    """
    callbacks = config.trainer.callbacks
    if callbacks is None:
        return []
    callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
    names = [BatchSizeFinder.__name__, LearningRateFinder.__name__]
    found = [one for one in callbacks if _name(one) in names]
    config.trainer.callbacks = [one for one in callbacks if one not in found] or None
    if config.trainer.fast_dev_run:
        return []
    return sorted(found, key=lambda one: names.index(_name(one)))


def find(finder: Namespace, settings: Namespace, model: LitModel, data: DataModule) -> tuple[str, float | int]:
    """Search by steps that leave nothing behind: model and data are to be made anew.

    Args:
        finder: The configuration of Lightning's callback.
        settings: The Trainer's.
        model: To train a little.
        data: To train on.

    Returns:
        The setting's name in the configuration, and its value.

    Raises:
        ConfigError: Where the search found nothing, or there are several devices.
    """
    made: Any = {"BatchSizeFinder": BatchSizeFinder, "LearningRateFinder": LearningRateFinder}[_name(finder)]
    typed = finder.get("init_args")
    callback: Callback = made(**(typed.as_dict() if typed else {}))
    callback._early_exit = True  # type: ignore[attr-defined]  # as Lightning's Tuner sets it
    if isinstance(callback, LearningRateFinder):
        callback._update_attr = False  # the rate is the optimizer's, not the module's
    with TemporaryDirectory() as folder:
        changes: dict[str, Any] = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "max_epochs": LONG,
        }
        changes |= {"callbacks": [callback, Heap()], "plugins": [SafeCheckpointIO()], "default_root_dir": folder}
        trainer = Trainer(**{**settings.as_dict(), **changes})
        if trainer.world_size > 1:
            raise ConfigError(
                f"{_name(finder)} searches on one device; set --trainer.devices 1, then fit with its find"
            )
        trainer.fit(model, datamodule=data)
    if isinstance(callback, BatchSizeFinder):
        return BATCH_SIZE, int(callback.optimal_batch_size or data.batch_size)
    rate = callback.optimal_lr and callback.optimal_lr.suggestion()  # type: ignore[attr-defined]
    if not rate:
        raise ConfigError("LearningRateFinder found no rate; give it more num_training_steps or a larger max_lr")
    return RATE, float(rate)


def _name(callback: Any) -> str:
    return str(callback.get("class_path", "")).rpartition(".")[2]
