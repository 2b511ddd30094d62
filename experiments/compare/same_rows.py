"""Runs of the same rows with other input columns, which answer whether a column helps."""

from collections.abc import Sequence
from dataclasses import replace

from experiments.compare.load_runs import Run

INPUTS = "data.inputs"
"""Name of an option of runs that are comparable, and have other input columns."""


def with_inputs(runs: Sequence[Run]) -> list[Run]:
    """Marks runs of the same rows and targets, and names the inputs of each where these differ between such runs.

    Runs have the same rows if their data have one fingerprint, or if the target and all other columns that both tables
    have are equal, row by row. A record of an earlier version has no columns, and the fingerprint alone decides.
    """
    by_data: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.columns is None):  # one that has columns, if there is one
        by_data.setdefault(run.fingerprints[0], run)
    alike: list[list[Run]] = []
    for run in by_data.values():
        same = next((each for each in alike if any(_same(run, other) for other in each)), None)
        if same is None:
            alike.append([run])
        else:
            same.append(run)
    named = {}
    for each in alike:
        key, every = each[0].fingerprints[0], dict.fromkeys(name for run in each for name in _inputs(run))
        differ = len({frozenset(_inputs(run)) for run in each}) > 1
        for run in each:
            named[run.fingerprints[0]] = key, _text(_inputs(run), [*every]) if differ else ""
    marked = []
    for run in runs:
        key, inputs = named[run.fingerprints[0]]
        marked.append(replace(run, same_rows=key, settings=run.settings | ({INPUTS: inputs} if inputs else {})))
    return marked


def differing_cells(first: Run, second: Run) -> str:
    """Returns the first column that both runs' tables have with other cells; empty without one."""
    if first.columns is None or second.columns is None:
        return ""
    theirs = second.columns.cells
    return next((name for name, cells in first.columns.cells.items() if theirs.get(name, cells) != cells), "")


def _same(first: Run, second: Run) -> bool:
    ours, theirs = first.columns, second.columns
    if ours is None or theirs is None or ours.target != theirs.target or differing_cells(first, second):
        return False
    # The target alone may be equal in other rows too: the same classes, sorted.
    return bool((ours.cells.keys() & theirs.cells.keys()).difference(ours.target))


def _inputs(run: Run) -> tuple[str, ...]:
    return () if run.columns is None else run.columns.inputs


def _text(inputs: Sequence[str], every: Sequence[str]) -> str:
    missing = [name for name in every if name not in inputs]
    if not missing:
        return "all"
    return f"without {', '.join(missing)}" if len(missing) <= len(inputs) else f"only {', '.join(inputs)}"
