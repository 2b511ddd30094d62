"""``best.ckpt``: the callback that keeps it, the paths of a run's checkpoints, and the configuration inside."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules.remote_files import is_url
from experiments import safe_yaml
from experiments.run.checkpoints.checkpoint_io import CONFIG, read
from experiments.run.record.run_directory import RunDirectory
from lit_models import ConfigError, LitModel


def best_checkpoint(directory: RunDirectory, typed: list[Callback], model: LitModel, has_val: bool) -> list[Callback]:
    """Returns the callback of ``best.ckpt``, by the task's ranking metric; none if a typed callback monitors a metric.

    Without validation rows it keeps the epoch of the lowest train loss, as in Fawaz et al. (2019).
    """
    if any(isinstance(callback, ModelCheckpoint) and callback.monitor for callback in typed):
        return []
    ranks = getattr(model.loss, "ranks_epochs", False)  # rmse would choose the quantile that is nearest to the mean
    monitor = f"val/{'loss' if ranks else model.task.rank_by}" if has_val else "train/loss"
    return [
        ModelCheckpoint(
            directory.checkpoints,
            filename="best",
            monitor=monitor,
            mode=model.direction(monitor),
            enable_version_counter=False,
            save_on_train_epoch_end=None if has_val else True,
        )
    ]


def best_path(trainer: Trainer) -> str | None:
    """Returns the best checkpoint of the first callback that monitors a metric."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            return callback.best_model_path
    return None


def checkpoint_of(path: str | os.PathLike[str], name: Literal["best", "last"] = "best") -> Path:
    """Returns the best or the last checkpoint of a run's folder, or the path itself if it is no folder.

    A run whose own ModelCheckpoint monitors a metric has its best one under a name of its own, which ``last.ckpt`` has.
    Raises ConfigError for a folder without the checkpoint.
    """
    if is_url(path):
        raise ConfigError(f"--ckpt_path {path} is a URL, and runs are read from a local folder; copy it to one")
    folder = Path(path)
    if not folder.is_dir():
        return folder
    found = folder / "checkpoints" / f"{name}.ckpt"
    if name == "best" and not found.is_file():
        found = _own_best(found.with_name("last.ckpt")) or found
    if not found.is_file():
        raise ConfigError(f"--ckpt_path {path} is a folder without checkpoints/{name}.ckpt; name a run or a checkpoint")
    return found


def _own_best(last: Path) -> Path | None:
    """Returns the path of ``best_path`` by the state of the callbacks in ``last.ckpt``, also of a moved folder."""
    states = read(last)["callbacks"].values() if last.is_file() else ()
    for state in states:
        if state.get("monitor") and state.get("best_model_path"):
            path = Path(state["best_model_path"])
            inside = last.parent / os.path.relpath(path, state["dirpath"])
            return inside if inside.is_file() else path
    return None


def config_in(path: str, for_fit: bool, content: dict[str, Any] | None = None) -> str:
    """Returns the configuration inside a checkpoint, whose ``content`` may have been read already, as YAML text.

    ``for_fit`` keeps settings of ``fit`` alone, such as the name of the experiment. Raises ConfigError for a file that
    is no checkpoint of Evenhand.
    """
    try:
        modified = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
        config = safe_yaml.load(_text_in(path, modified) if content is None else str(content[CONFIG]))
    except KeyError as error:
        raise ConfigError(f"--ckpt_path {path} has no configuration of Evenhand; name a checkpoint of a run") from error
    except ConfigError as error:
        raise ConfigError(f"--ckpt_path: {error}") from error
    except safe_yaml.UnsafeYaml as error:
        raise ConfigError(f"--ckpt_path {path} has a configuration that is refused: {error}") from error
    except (yaml.YAMLError, AttributeError) as error:
        raise ConfigError(f"--ckpt_path {path} has a configuration that is no YAML") from error
    if not isinstance(config, dict) or not isinstance(config.get("trainer"), dict):
        raise ConfigError(f"--ckpt_path {path} has a configuration that is none of Evenhand's")
    if not for_fit:
        # Callbacks, logger and folders are the training's.
        config = {key: config[key] for key in ("seed_everything", "trainer", "model", "data") if key in config}
        config["trainer"].update(callbacks=None, logger=None)
    return yaml.safe_dump(config)


@lru_cache(maxsize=8)
def _text_in(path: str, modified: int) -> str:
    """Reads a checkpoint, which may be large, once per command."""
    return str(read(Path(path))[CONFIG])
