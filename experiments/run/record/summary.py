"""A record in a few lines for a person: what is about to run, and what came of it."""

from typing import Any

from experiments.run.record.run_directory import RunDirectory


def heading(content: dict[str, Any], directory: RunDirectory) -> str:
    """What is about to run, in one line.

    Args:
        content: Of the record.
        directory: The run's.
    """
    rows = ", ".join(f"{count:,} {part}" for part, count in content["rows"].items())
    return (
        f"{content['model']} ({content['parameters']:,} parameters) on {content['data']} ({rows} rows), "
        f"{content['device']['type']}, seed {content['seed']}: {directory.path}"
    )


def summary(content: dict[str, Any], directory: RunDirectory) -> str:
    """What a person wants to read at the end.

    Args:
        content: Of the record.
        directory: The run's.
    """
    measured = content.get("metrics") or content["validation"] or {}
    metrics = "  ".join(f"{name} {value:.4f}" for name, value in measured.items())
    return (
        f"{directory.run}: {content['parameters']:,} parameters, {content['seconds']:.1f} s\n{metrics}\n"
        f"run: {directory.path}\ncurves: tensorboard --logdir {directory.root / directory.experiment}"
    )
