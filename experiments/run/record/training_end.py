"""End of a training for the record: the chosen epoch, why it stopped, and how to go on with an interrupted one."""

import shlex
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from experiments.run.record.run_directory import RunDirectory
from experiments.terminal import decimal


def chosen(trainer: Trainer, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Returns the epoch (from 1) and step of the best checkpoint, and the metric that chose it with its value."""
    best = next((callback for callback in _of(trainer, ModelCheckpoint) if callback.monitor), None)
    score = None if best is None or best.best_model_score is None else float(best.best_model_score)
    position = {"epoch": int(checkpoint["epoch"]) + 1, "step": int(checkpoint["global_step"])}
    return {**position, "monitor": best and best.monitor, "value": score}


def stop_reason(trainer: Trainer) -> str:
    """Returns why a training that has ended did so, as a clause that follows "stopped"."""
    for callback in _of(trainer, EarlyStopping) if trainer.should_stop else ():
        if callback.stopping_reason == EarlyStoppingReason.PATIENCE_EXHAUSTED:
            better = "lower" if callback.mode == "min" else "higher"
            return f"after {callback.patience} checks without a {better} {callback.monitor}"
        if callback.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            return f"by {type(callback).__name__}: {callback.stopping_reason.name.lower().replace('_', ' ')}"
    for timer in _of(trainer, Timer) if trainer.should_stop else ():
        if (left := timer.time_remaining()) is not None and left <= 0:
            return "at its time limit"
    if trainer.max_epochs not in (None, -1) and trainer.current_epoch >= trainer.max_epochs:
        return "at its last epoch"
    if 0 <= trainer.max_steps <= trainer.global_step:
        return "at its last step"
    return "by a callback"


def end_sentence(content: dict[str, Any]) -> str:
    """Returns one line about a record: the chosen epoch, and why the training stopped; empty before its end."""
    clauses = []
    if (epoch := content.get("chosen")) is not None:
        value = "" if epoch["value"] is None else f" {decimal(epoch['value'])}"
        by = f", by {epoch['monitor']}{value}" if epoch["monitor"] else ""
        clauses.append(f"chosen: epoch {epoch['epoch']} of {content['epochs']}{by}")
    if "stopped" in content:
        clauses.append(f"stopped {content['stopped']}")
    return "; ".join(clauses)


def interruption(trainer: Trainer, directory: RunDirectory, command: str) -> str:
    """Returns a sentence on where a run was interrupted, its last checkpoint, and the command that goes on with it."""
    last = directory.checkpoints / "last.ckpt"
    saved = f"saved {last}" if last.is_file() else "nothing was saved"
    position = f"interrupted in epoch {trainer.current_epoch + 1}, after step {trainer.global_step}"
    return f"{position}; {saved}; to go on: {resume_command(directory, command)}"


def resume_command(directory: RunDirectory, command: str) -> str:
    """Returns the command that goes on with a run that another command began: its settings are in its folder."""
    words = shlex.split(command)
    root = [] if directory.root == Path("runs") else ["--trainer.default_root_dir", str(directory.root.parent)]
    options = [(word, following) for word, following in pairwise(words) if word == "--trust"]
    trust = [*chain(*options), *(word for word in words if word.startswith("--trust="))]
    names = ["--experiment", directory.experiment, "--run", directory.run]
    return shlex.join(["evenhand", "fit", *trust, *names, *root])


def _of(trainer: Trainer, kind: type[Any]) -> list[Any]:
    return [callback for callback in trainer.callbacks if isinstance(callback, kind)]  # type: ignore[attr-defined]
