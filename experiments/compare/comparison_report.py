"""Report of a comparison: tables for people, plain values for programs."""

import math
from collections.abc import Callable
from typing import Any

from experiments.compare.comparison import LEVEL, MIN_ROWS, Standing
from experiments.compare.ensembles import Ensemble
from experiments.compare.groups import Block, count_splits, differing
from experiments.compare.look_count import LookCount
from experiments.compare.table_formats import Sheet, defined, number, scaled, without_zero
from experiments.compare.verdict_text import difference_interval, meanings, plain_versus, verdict_text

Compared = tuple[Block, list[Standing]]

TEXTS = ("group", "run", "best run", "median run", "against the best")
OF_RUNS = ("run", "best run", "median run", "parameters", "seconds", "FLOPs")
OF_GROUPS = ("n", "sd", "95 % interval", "interval of the difference", "against the best")
SPARE = ("FLOPs", "seconds", "parameters", "interval of the difference", "median run", "sd")
"""Columns that a narrow terminal does without, the first of them first."""

SORT_KEYS: dict[str, Callable[[Standing], Any]] = {
    "metric": lambda standing: 0,  # they come best first
    "label": lambda standing: standing.group.label,
    "n": lambda standing: len(standing.scores),
    "sd": lambda standing: (math.isnan(standing.estimate.sd), standing.estimate.sd),
    "parameters": lambda standing: standing.parameters,
    "seconds": lambda standing: standing.seconds,
}
"""Sort keys by the values of ``--sort``."""


def sheet(compared: Compared, looks: LookCount, position: int, reason: str, margin: float | None = None) -> Sheet:
    """Returns a block as a table, with its position unless that is 0, and why it is not compared with the first.

    A narrow terminal gets a table of how good each group is, and one of its runs and their cost. Columns that say
    something of several runs or several groups alone are there where there are such.
    """
    block, standings = compared
    repeated = any(len(standing.scores) > 1 for standing in standings)
    every = []
    for standing in standings:
        every.append(_cells(standing, block.metric, repeated, margin))
        if standing.ensemble is not None:
            every.append(_cells_together(standing.group.label, standing.ensemble, block.metric))
    columns = [name for name in every[0] if any(cells.get(name) for cells in every)]
    index = dict(zip(columns, range(len(columns)), strict=True))
    rows = [[cells.get(name) or ("" if name in TEXTS else "–") for name in columns] for cells in every]
    several_rows = len(every) > len(standings)  # of a group, which n tells apart
    others = (OF_RUNS, (block.metric, *(name for name in OF_GROUPS if name != "n" or not several_rows)))
    parts = [[index[name] for name in columns if name not in left_out] for left_out in others]
    title = heading(block, position) + (f"; not compared with the first: {reason}" if reason else "")
    spare = [index[name] for name in SPARE if name in index]
    texts = [index[name] for name in TEXTS if name in index]
    return Sheet(title, columns, rows, notes(compared, looks, margin), texts, parts, spare)


def heading(block: Block, position: int) -> str:
    """Returns a line with the block's data, metric and test rows."""
    rows = f"{block.groups[0].runs[0].rows['test']:,} test rows of {count_splits(block)}"
    direction = "higher" if block.sign > 0 else "lower"
    return (f"{position}. " if position else "") + f"{block.data}: {block.metric}, {direction} is better, on {rows}"


def notes(compared: Compared, looks: LookCount, margin: float | None = None) -> list[str]:
    """Returns sentences on the meaning of the numbers, on looks at the test rows, and on differences of the runs."""
    block, standings = compared
    verdicts = {standing.verdict for standing in standings}
    sentences = []
    if any(not math.isnan(standing.estimate.low) for standing in standings):
        over = "splits, corrected for shared train rows" if len(block.splits) > 1 else "seeds, about these test rows"
        sentences.append(f"95 % interval: t over {over}.")
    if verdicts & {"worse", "no difference shown"}:
        sentences.append(
            f"Worse: p < {without_zero(LEVEL)} over new seeds and over new test rows, Holm-corrected over all pairs "
            "of groups, as the interval of the difference is."
        )
    sentences += meanings([standing.versus for standing in standings], margin)
    if "too few seeds to tell" in verdicts:
        sentences.append(
            "Too few seeds to tell a difference from chance: four a group, or one on each of six splits, can reach "
            f"p < {without_zero(LEVEL)}."
        )
    if "too few test rows to tell" in verdicts:
        sentences.append(f"Too few test rows to tell a difference from chance: it takes {MIN_ROWS}.")
    together = [standing.ensemble is not None for standing in standings]
    if any(together):
        over = "splits" if len(block.splits) > 1 else "test rows"
        sentences.append(f"Together: the mean of the runs' predictions as one model; its interval is over {over}.")
        alone = [standing.group.label for standing, there in zip(standings, together, strict=True) if not there]
        sentences += [f"Not together, for a single run on a split: {', '.join(alone)}."] if alone else []
    sentences.append(looks.sentence(over_splits=len(block.splits) > 1))
    for name in ("commits", "devices", "precisions"):
        values = {score.run.identity[name] for standing in standings for score in standing.scores}
        if len(values) > 1:
            sentences.append(f"The runs have different {name}: {', '.join(sorted(values)[:5])}.")
    return sentences


def changes(compared: Compared, position: int) -> Sheet:
    """Returns a table with a row for each setting in which a block's groups differ, and one for their seeds."""
    block, standings = compared
    groups = [standing.group for standing in standings]
    rows = [[name, *(str(group.settings.get(name, "–")) for group in groups)] for name in differing(groups)]
    seeds = [{str(score.run.settings.get("seed", "–")) for score in standing.scores} for standing in standings]
    rows.append(["seed", *(", ".join(sorted(each, key=lambda seed: (len(seed), seed))) for each in seeds)])
    columns = ["setting", *(group.label for group in groups)]
    return Sheet(heading(block, position), columns, rows, texts=range(len(columns)), is_divisible=True)


def plain(compared: Compared, looks: LookCount, reason: str, margin: float | None = None) -> dict[str, Any]:
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
        if standing.ensemble is not None:
            groups[-1]["ensemble"] = flat_together(standing.group.label, standing.ensemble)
    return {
        "data": block.data,
        "task": block.task,
        "metric": block.metric,
        "splits": list(block.splits),
        "test_rows": block.groups[0].runs[0].rows["test"],
        "unlike_the_first": reason or None,
        "test_looks": looks.plain(),
        "equal_within": margin,
        "notes": notes(compared, looks, margin),
        "groups": groups,
    }


def flat(standing: Standing) -> dict[str, Any]:
    """Returns a group's numbers by name, with the means of all metrics of the task."""
    return {
        "group": standing.group.label,
        "n": len(standing.scores),
        **defined(standing.estimate._asdict()),
        **plain_versus(standing.versus),
        "best_run": str(standing.best.run.path),
        "median_run": str(standing.median.run.path),
        "parameters": standing.parameters,
        "seconds": standing.seconds,
        "flops": standing.flops,
        **defined(standing.metrics),
    }


def flat_rows(standing: Standing) -> list[dict[str, Any]]:
    """Returns the numbers of a group, and those of its ensemble if there is one."""
    together = [] if standing.ensemble is None else [flat_together(standing.group.label, standing.ensemble)]
    return [flat(standing), *together]


def flat_together(label: str, ensemble: Ensemble) -> dict[str, Any]:
    """Returns an ensemble's numbers by name, with all metrics of the task."""
    interval = {"mean": ensemble.mean, "low": ensemble.low, "high": ensemble.high}
    cost = {"parameters": ensemble.parameters, "seconds": ensemble.seconds, "flops": ensemble.flops}
    return {
        "group": label,
        "n": sum(ensemble.members),
        "verdict": "together",
        **defined(interval),
        **cost,
        **defined(ensemble.metrics),
    }


def _cells_together(label: str, ensemble: Ensemble, metric: str) -> dict[str, str]:
    """Returns the row of an ensemble, below that of its group."""
    counts = sorted({*ensemble.members})
    return {
        "group": label,
        "n": f"{' to '.join(map(str, (counts[0], *counts[1:][-1:])))} together",
        metric: number(ensemble.mean),
        "95 % interval": "" if math.isnan(ensemble.low) else f"{number(ensemble.low)} to {number(ensemble.high)}",
        "parameters": f"{ensemble.parameters:,}",
        "seconds": f"{ensemble.seconds:.1f}",
        "FLOPs": scaled(ensemble.flops),
    }


def _cells(standing: Standing, metric: str, repeated: bool, margin: float | None) -> dict[str, str]:
    """Returns a row of the table by columns; empty where there is nothing to say that another cell does not.

    ``repeated`` is True if any group has several runs.
    """
    mean, sd, low, high = standing.estimate
    several = len(standing.scores) > 1
    run = standing.best.run.path.name
    best, median = (f"{number(score.value)} {score.run.path.name}" for score in (standing.best, standing.median))
    return {
        "group": standing.group.label,
        "n": str(len(standing.scores)) if repeated else "",
        metric: number(mean),
        "sd": number(sd) if several else "",
        "95 % interval": "" if math.isnan(low) else f"{number(low)} to {number(high)}",
        "run": "" if repeated else run,
        "best run": best if several else run if repeated else "",
        "median run": median if several else "",
        "parameters": f"{standing.parameters:,}",
        "seconds": f"{standing.seconds:.1f}",
        "FLOPs": scaled(standing.flops),
        "interval of the difference": difference_interval(standing.versus),
        "against the best": verdict_text(standing.versus, margin),
    }
