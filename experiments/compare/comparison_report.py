"""Report of a comparison: tables for people, plain values for programs."""

import math
from collections.abc import Callable
from typing import Any

from experiments.compare.comparison import LEVEL, Standing
from experiments.compare.groups import Block, count_splits, differing
from experiments.compare.table_formats import Sheet, defined

Compared = tuple[Block, list[Standing]]

SORT_KEYS: dict[str, Callable[[Standing], Any]] = {
    "metric": lambda standing: 0,  # they come best first
    "label": lambda standing: standing.group.label,
    "n": lambda standing: len(standing.scores),
    "sd": lambda standing: (math.isnan(standing.estimate.sd), standing.estimate.sd),
    "parameters": lambda standing: standing.parameters,
    "seconds": lambda standing: standing.seconds,
}
"""Sort keys by the values of ``--sort``."""


def sheet(compared: Compared, number: int, reason: str) -> Sheet:
    """Returns a block as a table, with its number unless that is 0, and why it is not compared with the first."""
    block, standings = compared
    columns = ["group", "n", block.metric, "sd", "95 % interval", "best", "median", "parameters", "seconds"]
    columns += ["to the best", "the best is"]
    title = heading(block, number) + (f"; not compared with the first: {reason}" if reason else "")
    parts = ((0, 1, 2, 3, 4, 7, 8), (0, 9, 10), (0, 5, 6))
    return Sheet(title, columns, [*map(_row, standings)], notes(compared), parts=parts)


def heading(block: Block, number: int) -> str:
    """Returns a line with the block's data, metric and test rows."""
    rows = f"{block.groups[0].runs[0].rows['test']:,} test rows of {count_splits(block)}"
    direction = "higher" if block.sign > 0 else "lower"
    return (f"{number}. " if number else "") + f"{block.data}: {block.metric}, {direction} is better, on {rows}"


def notes(compared: Compared) -> list[str]:
    """Returns sentences on the meaning of the numbers, and on other differences between the runs."""
    block, standings = compared
    several = len(block.splits) > 1
    over = "t over splits, corrected for shared train rows" if several else "t over seeds, about these test rows"
    sentences = [f"95 % interval: {over}."]
    if len(standings) > 1:
        sentences.append(
            "To the best: difference of the means ± half its 95 % interval over seeds and test rows. "
            f"Better: p < {LEVEL} over both, Holm-corrected over all pairs of groups."
        )
    for name in ("commits", "devices", "precisions"):
        values = {score.run.identity[name] for standing in standings for score in standing.scores}
        if len(values) > 1:
            sentences.append(f"The runs have different {name}: {', '.join(sorted(values)[:5])}.")
    return sentences


def changes(compared: Compared, number: int) -> Sheet:
    """Returns a table of the options in which a block's groups differ, with each group's seeds."""
    block, standings = compared
    names = differing([standing.group for standing in standings])
    rows = []
    for standing in standings:
        seeds = {str(score.run.settings.get("seed", "–")) for score in standing.scores}
        values = [str(standing.group.settings.get(name, "–")) for name in names]
        rows.append([standing.group.label, *values, ", ".join(sorted(seeds, key=lambda seed: (len(seed), seed)))])
    return Sheet(heading(block, number), ["group", *names, "seed"], rows, texts=len(names) + 2)


def plain(compared: Compared, reason: str) -> dict[str, Any]:
    """Returns a block for JSON; an undefined number is None."""
    block, standings = compared
    groups = []
    for standing in standings:
        runs = [
            {"run": str(score.run.path), "seed": score.run.settings.get("seed"), "split": score.run.split}
            | {"metrics": defined(score.metrics), "seconds": score.run.seconds}
            for score in standing.scores
        ]
        groups.append(flat(standing) | {"settings": standing.group.settings, "runs": runs})
    return {
        "data": block.data,
        "task": block.task,
        "metric": block.metric,
        "splits": list(block.splits),
        "test_rows": block.groups[0].runs[0].rows["test"],
        "unlike_the_first": reason or None,
        "notes": notes(compared),
        "groups": groups,
    }


def flat(standing: Standing) -> dict[str, Any]:
    """Returns a group's numbers by name, with the means of all metrics of the task."""
    numbers = standing.estimate._asdict() | {"difference": standing.difference, "margin": standing.margin}
    return {
        "group": standing.group.label,
        "n": len(standing.scores),
        **defined({**numbers, "p": standing.p}),
        "verdict": standing.verdict,
        "best_run": str(standing.best.run.path),
        "median_run": str(standing.median.run.path),
        "parameters": standing.parameters,
        "seconds": standing.seconds,
        **defined(standing.metrics),
    }


def _row(standing: Standing) -> list[str]:
    mean, sd, low, high = standing.estimate
    difference = f"{standing.difference:+.4f} ± {standing.margin:.4f}".replace(" ± nan", "").replace("nan", "–")
    p = "p < 0.001" if standing.p < 0.001 else f"p = {standing.p:.3f}"
    return [
        standing.group.label,
        str(len(standing.scores)),
        _number(mean),
        _number(sd),
        "–" if math.isnan(low) else f"{_number(low)} to {_number(high)}",
        f"{_number(standing.best.value)} {standing.best.run.path.name}",
        f"{_number(standing.median.value)} {standing.median.run.path.name}",
        f"{standing.parameters:,}",
        f"{standing.seconds:.1f}",
        "" if standing.verdict in ("best", "nothing to compare with") else difference,
        standing.verdict if math.isnan(standing.p) else f"{standing.verdict} ({p})",
    ]


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:,.1f}" if abs(value) >= 1e4 else f"{value:.4f}"
