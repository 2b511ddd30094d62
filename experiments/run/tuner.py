"""Searches for a batch size or a learning rate before the fit, by Lightning's ``Tuner``."""

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from lightning.pytorch.tuner.tuning import Tuner

from datamodules import DataModule, LightningData
from experiments.run.checkpoints.checkpoint_io import SafeCheckpointIO
from experiments.run.cpu_speed import speed_callbacks
from experiments.run.prepare_run import as_list
from lit_models import ConfigError, LitLightningModule, LitModel

BATCH_SIZE, LEARNING_RATE = "data.init_args.batch_size", "model.init_args.optimizer.init_args.lr"

FINDERS = (BatchSizeFinder.__name__, LearningRateFinder.__name__)
"""Lightning's callbacks that stand for a search, in order: the learning rate depends on the batch size."""

MAX_EPOCHS = 1000
"""Of a search, which ends after a number of steps."""

SKIPPED = 10
"""First steps of a search, in which the running mean of the loss is of few batches."""

LEAST_FALL = 0.05
"""Fraction of the loss that it has to fall by, or a search has found no rate."""


@dataclass(frozen=True)
class Found:
    """The setting that a search has found, by its key in the configuration, and the losses of the rates it tried."""

    key: str
    value: float | int
    rates: Sequence[float] = ()
    losses: Sequence[float] = ()

    @property
    def name(self) -> str:
        """Name of the setting as it is typed."""
        return self.key.replace(".init_args", "")


def take_searches(config: Namespace) -> list[Namespace]:
    """Removes the finders from the callbacks of a fit's configuration; returns them in order, none if fast_dev_run."""
    callbacks = as_list(config.trainer.callbacks)
    searches = [callback for callback in callbacks if _name(callback) in FINDERS]
    config.trainer.callbacks = [callback for callback in callbacks if callback not in searches] or None
    return [] if config.trainer.fast_dev_run else sorted(searches, key=lambda search: FINDERS.index(_name(search)))


def find(search: Namespace, trainer_arguments: Namespace, model: LitModel, data: DataModule) -> Found:
    """Searches by training a little; model and data have to be instantiated again afterwards.

    Raises ConfigError if it finds nothing, or there are several devices.
    """
    options = search.init_args.as_dict() if search.get("init_args") else {}
    with TemporaryDirectory() as folder:
        changes: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
        changes |= {"max_epochs": MAX_EPOCHS, "callbacks": speed_callbacks(), "plugins": [SafeCheckpointIO()]}
        trainer = Trainer(**{**trainer_arguments.as_dict(), **changes, "default_root_dir": folder})
        if trainer.world_size > 1:
            raise ConfigError(
                f"{_name(search)} searches on one device; set --trainer.devices 1, then fit with its find"
            )
        if _name(search) == BatchSizeFinder.__name__:
            if isinstance(data, LightningData):
                raise ConfigError(
                    f"BatchSizeFinder sets --data.batch_size, and the loaders of {data.data_name} have their own; "
                    "leave it out"
                )
            size = Tuner(trainer).scale_batch_size(model, datamodule=data, **options)
            return Found(BATCH_SIZE, int(size or data.batch_size))
        if isinstance(model, LitLightningModule):
            raise ConfigError(
                f"LearningRateFinder sets --model.optimizer.lr, and {model.path} has an optimizer of its own; leave "
                "the finder out"
            )
        if model.lr_decay_by_layer < 1 or any("lr" in group for group in model.optimizer_groups.values()):
            raise ConfigError(
                "LearningRateFinder searches one rate for all layers; leave --model.lr_decay_by_layer and lr in "
                "--model.optimizer_groups out, or type --model.optimizer.lr"
            )
        steps = {"num_training": options.pop("num_training_steps")} if "num_training_steps" in options else {}
        # The learning rate is an argument of the optimizer; the model has no attribute to update.
        result = Tuner(trainer).lr_find(model, datamodule=data, **{**options, **steps, "update_attr": False})
    tried = result.results if result else {"lr": [], "loss": []}
    rates, losses = tried["lr"][SKIPPED:], tried["loss"][SKIPPED:]
    index = valley(losses)
    if index is None:
        raise ConfigError(
            "LearningRateFinder found no rate at which the loss falls; give it more num_training_steps or a larger "
            "max_lr, or type --model.optimizer.lr"
        )
    return Found(LEARNING_RATE, float(rates[index]), rates, losses)


def valley(losses: Sequence[float]) -> int | None:
    """Returns the middle of the longest falling subsequence of losses, the valley rule of fastai's ``lr_find``.

    A rate in the middle of the fall trains fast, and is an order of magnitude below those at which the loss rises.
    None if the loss does not fall by a twentieth.
    """
    length, start = [1] * len(losses), [*range(len(losses))]
    for here, loss in enumerate(losses):
        for before in range(here):
            if losses[before] > loss and length[before] >= length[here]:
                length[here], start[here] = length[before] + 1, start[before]
    if not losses:
        return None
    end = length.index(max(length))
    first, last = losses[start[end]], losses[end]
    return (start[end] + end) // 2 if first - last > LEAST_FALL * abs(first) else None


def _name(callback: Any) -> str:
    return str(callback.get("class_path", "")).rpartition(".")[2]
