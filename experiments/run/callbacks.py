"""The callbacks of a fit: their order, and the direction of those that monitor a metric."""

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from typing_extensions import override

from experiments.run.checkpoints.best_checkpoint import best_checkpoint
from experiments.run.checkpoints.last_checkpoint import EpochBoundary, LastCheckpoint
from experiments.run.distributed.rank_consistency import RankConsistency
from experiments.run.divergence import Divergence
from experiments.run.record.record import RunRecord
from experiments.run.resume.exact_state import Resume
from experiments.run.resume.optimizer_overrides import OptimizerOverrides
from lit_models import ConfigError, LitModel
from lit_models.errors import NoDirectionError


class MinEpochs(Callback):
    """Forgets an early stop before ``min_epochs``, which EarlyStopping repeats if the value has not recovered.

    Lightning remembers it, and ends the run at ``min_epochs`` whatever the value did since.
    """

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if any(stop.stopped_epoch == trainer.current_epoch - 1 for stop in trainer.early_stopping_callbacks):
            trainer.should_stop = False


def run_callbacks(
    record: RunRecord, typed: list[Callback], model: LitModel, save_every: int | None, has_val: bool
) -> list[Callback]:
    """Returns the callbacks in order: restoring first, detecting divergence before saving, ``last.ckpt`` at the end.

    ``save_every`` are the steps between two saves within an epoch; None for none, 0 for no checkpoints at all.
    """
    directory, changes = record.directory, record.start.changes
    checks = [RankConsistency(), record, Divergence(directory.path), OptimizerOverrides(changes), MinEpochs()]
    if save_every == 0:
        return [Resume(changes), *typed, *checks]
    last = LastCheckpoint(directory.checkpoints / "last.ckpt", save_every)
    best = best_checkpoint(directory, typed, model, has_val)
    return [Resume(changes), EpochBoundary(last), *typed, *checks, *best, last]


def set_directions(
    callbacks: list[Callback], configs: list[Namespace], model: LitModel, has_val: bool, mode_typed: bool
) -> list[Callback]:
    """Gives callbacks that monitor a metric the direction of their metric.

    Lightning's default is ``min`` for every metric, which keeps the worst accuracy. ``configs`` are changed as well, so
    that the record shows what ran. A typed ``mode`` is the direction of a value that has none itself. Raises
    ConfigError for a metric that is not logged or has no direction, or ``max`` for one that is best when low.
    """
    others = any(not type(callback).__module__.startswith("lightning.") for callback in callbacks)
    if model.schedule and model.schedule.monitor:
        model.schedule_direction(others)
        _check_val("--model.schedule", model.schedule.monitor, has_val)
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint | EarlyStopping):
            _check_val(type(callback).__name__, callback.monitor, has_val)
    return [
        _set_direction(callback, config, model, others, mode_typed)
        for callback, config in zip(callbacks, configs, strict=True)
    ]


def _check_val(owner: str, monitor: str | None, has_val: bool) -> None:
    if monitor and monitor.startswith("val/") and not has_val:
        raise ConfigError(
            f"{owner} watches {monitor}, and no row validates; let it watch train/loss, or give val a share in "
            "--data.ratios"
        )


def _set_direction(callback: Callback, config: Namespace, model: LitModel, others: bool, mode_typed: bool) -> Callback:
    if not isinstance(callback, ModelCheckpoint | EarlyStopping) or callback.monitor is None:
        return callback
    try:
        direction = model.direction(callback.monitor, others)
    except NoDirectionError:
        if mode_typed:
            return callback
        raise
    if callback.mode != direction:
        if callback.mode == "max":  # never the default, so it was typed
            raise ConfigError(f"{callback.monitor} is best when low; leave mode out, and it follows the metric")
        config.init_args.mode = direction
        callback = type(callback)(**config.init_args.as_dict())
    if isinstance(callback, EarlyStopping):
        callback.strict = False  # max_steps may end the epoch before the validation that logs the metric
    return callback
