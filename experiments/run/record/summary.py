"""A record in a few printed lines, before and after the run."""

from typing import Any

from experiments.run.record.run_directory import RunDirectory
from experiments.terminal import decimal


def heading(content: dict[str, Any], directory: RunDirectory) -> str:
    """Returns one line to print before the run.

    Args:
        content: Of the record.
        directory: Of the run.
    """
    rows = ", ".join(f"{count:,} {part}" for part, count in content["rows"].items())
    return (
        f"{content['model']} ({content['parameters']:,} parameters) on {content['data']} ({rows} rows), "
        f"{content['device']['type']}, seed {content['seed']}: {directory.path}"
    )


def summary(content: dict[str, Any], directory: RunDirectory) -> str:
    """Returns the lines to print after the run.

    Args:
        content: Of the record.
        directory: Of the run.
    """
    measured = content.get("metrics") or content["validation"] or {}
    metrics = "  ".join(f"{name} {decimal(value)}" for name, value in measured.items())
    return (
        f"{directory.run}: {content['parameters']:,} parameters, {content['seconds']:.1f} s\n{metrics}\n"
        f"run: {directory.path}\ncurves: tensorboard --logdir {directory.root / directory.experiment}"
    )
