"""What a sweep says at its end."""

import shlex
from collections.abc import Sequence
from typing import Any

from experiments.compare.seed_curves import aggregate
from experiments.compare.summary_table import side_by_side
from experiments.console import Console
from experiments.sweep.grid import Run
from experiments.sweep.run_result import Outcome
from experiments.sweep.sweep_directory import Folder


def report(folder: Folder, runs: Sequence[Run], outcomes: Sequence[Outcome], title: str) -> None:
    """Print the table of all runs that are finished, and those that are not with their reasons; draw mean curves.

    Args:
        folder: The experiment's.
        runs: Of the sweep, those included that were finished before.
        outcomes: Of those that were run now.
        title: Of the table.
    """
    console = Console(highlight=False, soft_wrap=True)
    records: list[dict[str, Any]] = [
        record | {"label": run.label}
        for run in runs
        if (record := folder.record(run.name)).get("status") == "finished" and record.get("metrics")
    ]
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(record["label"], []).append(record["run"])
    like = [record for record in records if record["metrics"].keys() == records[0]["metrics"].keys()]
    if like:
        console.print(side_by_side(like, title))
    aggregate(folder.path, {label: [folder.path / name for name in names] for label, names in groups.items()})
    if len(records) > len(like):
        console.print(f"{len(records) - len(like)} finished runs have other metrics, and are not in the table")
    for outcome in outcomes:
        if not outcome.complete:
            console.print(outcome.line(), markup=False)
            console.print(f"  again: evenhand {shlex.join(outcome.run.words)}", markup=False)
            console.print(f"  what it printed: {folder.log(outcome.run.name)}", markup=False)
    said = f"{len(records)} of {len(runs)} runs are finished: {folder.path}"
    console.print(said + ("" if len(records) == len(runs) else "; the same command goes on with the others"))
    console.print(f"side by side: evenhand compare {folder.path}\ncurves: tensorboard --logdir {folder.path}")


def exit_code(outcomes: Sequence[Outcome], signal: int | None) -> int:
    """0 where all runs are complete, else the signal's code, else that of the first run that failed."""
    if signal is not None:
        return 128 + signal
    return next((outcome.code or 1 for outcome in outcomes if not outcome.complete), 0)
