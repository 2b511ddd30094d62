"""Checks that runs can predict together: different checkpoints with the same raw rows, task and classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.inference.base import Answering
from experiments.run.checkpoints.best_checkpoint import checkpoint_of
from lit_models import ConfigError


def check_different(paths: Sequence[str | Path]) -> None:
    """Raises ConfigError for a checkpoint that is named twice, which would count twice, or for no path."""
    if not paths:
        raise ConfigError("there is no checkpoint to predict with; name one or more runs")
    named: dict[Path, str | Path] = {}
    for path in paths:
        file = checkpoint_of(path).resolve()
        if file in named:
            raise ConfigError(f"--ckpt_path {path} is the checkpoint of {named[file]} too; name each run once")
        named[file] = path


def difference(first: Answering, other: Answering) -> str | None:
    """Returns in what the raw rows or the predictions of two predictors differ, or None."""
    if first.task != other.task:
        return "predictions (another task)"
    if first.class_names != other.class_names:
        return "classes"
    if first.target_names != other.target_names:
        return "targets"
    name = _first_difference(first.inputs.exported_state(), other.inputs.exported_state())
    if name is not None:
        return f"inputs ({name})"
    ours, theirs = first.inputs.exported_files(), other.inputs.exported_files()
    different = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return f"inputs ({different[0]}, which is learned from the train rows)" if different else None


def _first_difference(first: Any, other: Any) -> str | None:
    """Returns the name of the first value that differs between JSON values, or None."""
    if not (isinstance(first, dict) and isinstance(other, dict)):
        return None if first == other else "value"
    for name in {**first, **other}:
        if name not in first or name not in other:
            return str(name)
        if (found := _first_difference(first[name], other[name])) is not None:
            return str(name) if found == "value" else f"{name}.{found}"
    return None if [*first] == [*other] else "value"  # columns in another order are other inputs
