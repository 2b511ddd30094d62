"""Chooses the checkpoint that a fit resumes from, for ``--run NAME`` of an existing run and for ``--ckpt_path``."""

from pathlib import Path

from jsonargparse import Namespace

from experiments import safe_yaml
from experiments.run.checkpoints.best_checkpoint import config_in
from experiments.run.checkpoints.checkpoint_io import newest
from experiments.run.record.config_diff import Changes, Start
from experiments.run.record.record_io import config_of, read_record
from experiments.run.record.run_directory import LAST, RunDirectory
from experiments.run.resume.exact_state import inexact
from lit_models import ConfigError


def resume_plan(directory: RunDirectory, config: Namespace, text: str, allowed: list[str]) -> Start:
    """Returns the start of a fit in a run's folder.

    Args:
        directory: Of the run.
        config: As parsed.
        text: The configuration as YAML, as it will be written.
        allowed: Settings that may differ from the checkpoint's.

    Raises:
        ConfigError: For a run that is finished or in progress, or a change without permission.
    """
    exists = (directory.path / "record.json").is_file()
    path = Path(config.ckpt_path) if config.ckpt_path not in (None, LAST) else None
    if exists:
        _check_unfinished(directory, config)
        checkpoint = path or newest(directory.checkpoints, inexact)
        changes = Changes.between(config_of(directory.path), text, allowed)
    elif path is not None:
        checkpoint, changes = path, Changes.between(config_in(str(path), for_fit=True), text, allowed)
    else:
        return Start()
    changes.refuse_unsafe()
    return Start(checkpoint, changes, exists)


def _check_unfinished(directory: RunDirectory, config: Namespace) -> None:
    record = read_record(directory.path)
    if not {"status", "started"} <= record.keys():
        raise ConfigError(f"{directory.path / 'record.json'} is damaged; restore it, or choose another --run")
    if record["status"] == "running":
        raise ConfigError(f"the run {directory.path} is in progress; wait for it, or choose another --run")
    if record["status"] != "finished":
        return
    epochs, limit = record.get("epochs", 0), config.trainer.max_epochs
    planned = safe_yaml.load(config_of(directory.path))["trainer"]["max_epochs"]
    stopped_early = planned is not None and planned > epochs
    if stopped_early or limit is None or 0 <= limit <= epochs:
        advice = "" if stopped_early else "extend it with a larger --trainer.max_epochs, or "
        raise ConfigError(
            f"the run {directory.path} is there already and finished, after {epochs} epochs"
            f"{f' of {planned}' if stopped_early else ''}; {advice}choose another --run"
        )
