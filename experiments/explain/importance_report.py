"""Report of permutation importance: a table for people, ``importance.csv`` and ``importance.png``."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.compare.table_formats import Sheet, defined, number, to_csv
from experiments.explain.explained_run import NAMES, ExplainedRun, SplitName
from experiments.explain.permutation_importance import FEWEST_ROWS, Explanation, Importance
from experiments.run.atomic_write import write_atomically

FILE = "importance.csv"
MOST_SHOWN = 30
"""Features that the table and the figure show."""
SHARED = "Features that say the same stand in for each other, and each of them then matters less than both together."


def sheet_of(explained: Explanation, runs: Sequence[ExplainedRun], split: SplitName) -> Sheet:
    """Returns the table of the most important features."""
    shown = explained.importances[:MOST_SHOWN]
    rows = [[each.kind, each.feature, number(each.value), _interval(each)] for each in shown]
    of_runs = f", mean of {len(runs)} runs" if len(runs) > 1 else ""
    title = (
        f"{runs[0].data}: how much worse {explained.metric} gets without a feature, from "
        f"{number(explained.baseline)} on {len(runs[0].row):,} {NAMES[split]} rows{of_runs}"
    )
    notes = [*explained.methods, _about_interval(explained, len(runs), split), SHARED]
    if len(explained.importances) > len(shown):
        notes.append(f"{len(shown)} of {len(explained.importances):,} features; {FILE} has all of them.")
    return Sheet(title, ["kind", "feature", "worse by", "95 % interval"], rows, notes, texts=(0, 1), spare=(0,))


def _interval(each: Importance) -> str:
    return "–" if math.isnan(each.low) else f"{number(each.low)} to {number(each.high)}"


def _about_interval(explained: Explanation, runs: int, split: SplitName) -> str:
    if all(math.isnan(each.low) for each in explained.importances):
        return f"No interval: it needs {FEWEST_ROWS} rows or more."
    if runs > 1:
        return f"95 % interval over {NAMES[split]} rows, and over {runs} runs."
    times = f", and over {explained.repeats} permutations" if explained.repeats > 1 else ""
    return f"95 % interval over {NAMES[split]} rows{times}, of this run; another training may differ more."


def rows_of(explained: Explanation, runs: Sequence[ExplainedRun], split: SplitName) -> list[dict[str, Any]]:
    """Returns a row of plain values for each feature, the most important first; None where undefined."""
    about = {"metric": explained.metric, "split": split, "rows": len(runs[0].row), "baseline": explained.baseline}
    return [
        defined(
            {
                "kind": each.kind,
                "feature": each.feature,
                "importance": each.value,
                "low": each.low,
                "high": each.high,
                **about,
                "runs": len(runs),
                "repeats": explained.repeats,
            }
        )
        for each in explained.importances
    ]


def write_files(explained: Explanation, runs: Sequence[ExplainedRun], split: SplitName, folder: Path) -> list[str]:
    """Writes the CSV, and the figure if matplotlib is installed; returns lines that name the files."""
    write_atomically(folder / FILE, to_csv(rows_of(explained, runs, split)).encode())
    if find_spec("matplotlib") is None:
        missing = "no figure is drawn: it needs matplotlib; pip install '.[figures]' in the checkout"
        return [f"{folder / FILE}", missing]
    from experiments.explain.importance_figure import write_figure

    return [
        f"{folder / FILE}",
        f"{write_figure(folder, explained, sheet_of(explained, runs, split).title, runs[0].rows['x'])}",
    ]
