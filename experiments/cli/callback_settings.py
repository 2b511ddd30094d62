"""Callbacks that watch a metric: whether anybody logs it, and whether high or low is good."""

from jsonargparse import Namespace
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from lit_models import ConfigError, LitModel


def settle(callbacks: list[Callback], configs: list[Namespace], model: LitModel, has_val: bool) -> list[Callback]:
    """The callbacks, those that watch a metric made again with its direction where theirs is another.

    Lightning's default is ``min`` whatever is watched, and keeps the worst accuracy. The configurations are brought
    into line, so that the record says what ran.

    Args:
        callbacks: As they were made.
        configs: Of each, its class and arguments.
        model: Whose metrics they watch.
        has_val: Whether there are rows that validate.

    Raises:
        ConfigError: For a metric that nobody logs, or ``max`` typed for one that is best when low.
    """
    if model.schedule and model.schedule.monitor:
        model.direction(model.schedule.monitor)
        _check_val("--model.schedule", model.schedule.monitor, has_val)
    for callback in callbacks:
        if isinstance(callback, ModelCheckpoint | EarlyStopping):
            _check_val(type(callback).__name__, callback.monitor, has_val)
    return [_settle(callback, config, model) for callback, config in zip(callbacks, configs, strict=True)]


def _check_val(who: str, monitor: str | None, has_val: bool) -> None:
    if monitor and monitor.startswith("val/") and not has_val:
        raise ConfigError(
            f"{who} watches {monitor}, and no row validates; let it watch train/loss, or give val a share in "
            "--data.ratios"
        )


def _settle(callback: Callback, config: Namespace, model: LitModel) -> Callback:
    if not isinstance(callback, ModelCheckpoint | EarlyStopping) or callback.monitor is None:
        return callback
    direction = model.direction(callback.monitor)
    if callback.mode != direction:
        if callback.mode == "max":  # never the default, so somebody typed it
            raise ConfigError(f"{callback.monitor} is best when low; leave mode out, and it follows the metric")
        config.init_args.mode = direction
        callback = type(callback)(**config.init_args.as_dict())
    if isinstance(callback, EarlyStopping):
        callback.strict = False  # it is logged, as was seen here, though not where max_steps come before a validation
    return callback
