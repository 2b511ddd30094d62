"""Chooses the checkpoint that a fit resumes from, for ``--run NAME`` of an existing run and for ``--ckpt_path``."""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from experiments.run.checkpoints.best_checkpoint import config_in
from experiments.run.checkpoints.checkpoint_io import newest, read
from experiments.run.record.config_diff import Changes, Start
from experiments.run.record.record_io import config_of, read_record
from experiments.run.record.run_directory import LAST, RunDirectory
from experiments.run.resume.exact_state import KEY, STOPPING, inexact
from lit_models import ConfigError

NEEDED = ("state_dict", "loops", "optimizer_states", "lr_schedulers", "callbacks")
"""Entries that a training resumes from; a test needs the first one alone."""

STOPPED = "stopped early"
"""Begins the reason of a training that a callback or the time ended."""


def resume_plan(directory: RunDirectory, config: Namespace, text: str, allowed: list[str]) -> Start:
    """Returns the start of a fit in a run's folder, which this process has locked.

    The settings are compared with those inside the checkpoint: a killed process may have written a newer configuration
    that nothing was trained with. ``text`` is the configuration as YAML; settings that are ``allowed`` may differ.
    Raises ConfigError for a run that is finished, or another change.
    """
    file, checkpoint, state = directory.path / "record.json", None, dict[str, Any]()
    record = read_record(directory.path) if file.is_file() else None
    if record is not None and not (
        {"status", "started"} <= record.keys() and isinstance(record.get("process", {}), dict)
    ):
        raise ConfigError(f"{file} is damaged; restore it, or choose another --run")
    if config.ckpt_path not in (None, LAST):
        checkpoint = Path(config.ckpt_path)
        state = read(checkpoint)
        if reason := _incomplete(state):
            raise ConfigError(f"--ckpt_path {checkpoint} {reason}")
    elif record is None:
        return Start()
    else:
        checkpoint, state = _own_checkpoint(directory.checkpoints)
    before = config_in(str(checkpoint), for_fit=True, content=state) if checkpoint else config_of(directory.path)
    changes = Changes.between(before, text, allowed)
    reason = _nothing_left(state, config, changes)
    if record and record["status"] == "finished" and reason:
        raise ConfigError(f"the run {directory.path} is there already and finished, {reason}, or choose another --run")
    if record is None and reason and reason.startswith(STOPPED):
        raise ConfigError(f"the training of {checkpoint} was {reason}")
    changes.refuse_unsafe()
    return Start(checkpoint, changes, record is not None)


def _own_checkpoint(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """Returns the checkpoint that a run goes on with from its folder, and its content.

    Of those from the end of an epoch, ahead of its last curves, it takes one only where ``last.ckpt`` is lost: a kill
    between the two repeats the epoch.
    """
    checkpoint, state = newest(folder, lambda state: _incomplete(state) or inexact(state), _is_epoch_end)
    killed_in_first = _is_epoch_end(state) and _epochs(state) == 1 and not (folder / "last.ckpt").exists()
    return (None, {}) if killed_in_first else (checkpoint, state)


def _is_epoch_end(checkpoint: dict[str, Any]) -> bool:
    return bool(checkpoint.get(KEY, {}).get("place") == "epoch end")


def _epochs(checkpoint: dict[str, Any]) -> int:
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def _incomplete(checkpoint: dict[str, Any]) -> str | None:
    missing = [name for name in NEEDED if name not in checkpoint]
    return f"has no {' and no '.join(missing)}, and cannot be gone on with" if missing else None


def _nothing_left(checkpoint: dict[str, Any], config: Namespace, changes: Changes) -> str | None:
    """Returns why a training from a checkpoint would make no step and what to change, or None if it makes steps."""
    if not checkpoint:
        return "without a checkpoint; train it anew"
    epochs, steps = _epochs(checkpoint), checkpoint["global_step"]
    limit, most_steps = config.trainer.max_epochs, config.trainer.max_steps
    if limit is not None and 0 <= limit <= epochs:
        return f"after {epochs} epochs; extend it with a larger --trainer.max_epochs"
    if 0 <= most_steps <= steps:
        return f"after {steps} steps; extend it with a larger --trainer.max_steps"
    if checkpoint.get(KEY, {}).get("should_stop") and not changes.under(*STOPPING):
        return f"{STOPPED} after {epochs} epochs; change --trainer.callbacks or --trainer.max_time"
    return None
