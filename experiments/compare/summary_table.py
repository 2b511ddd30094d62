"""Table of runs side by side, for the terminal."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from experiments.compare.groups import grouped
from lit_models.metrics.task_metrics import MEASURES


def side_by_side(records: Sequence[dict[str, Any]], title: str) -> Table:
    """Returns a table with a row for each label, the mean over its runs; best first by the ranking metric.

    A label whose runs lack that metric comes last. Of several runs, the ranking metric also has its
    standard deviation over them (n - 1).

    Args:
        records: Records of finished runs with the same ranking metric, each with the key ``label`` added.
        title: Title of the table.
    """
    metrics = dict.fromkeys(name for record in records for name in record["metrics"] if name != "test/loss")
    groups = grouped(records, lambda record: record["label"])
    several = len(records) > len(groups)
    table = Table(title=title, box=SIMPLE_HEAD, padding=0)  # fits into eighty columns
    table.add_column("model", no_wrap=True)
    for name in (*(["seeds"] if several else []), *metrics, "parameters", "seconds"):
        table.add_column(name.removeprefix("test/").replace("_", "\n"), justify="right", overflow="fold")
    rank = records[0]["rank_by"]
    lower = MEASURES[records[0]["task"]][rank.removeprefix("test/")].lower_is_better

    def position(runs: list[dict[str, Any]]) -> float:
        mean = fmean(run["metrics"].get(rank, math.nan) for run in runs)
        return math.inf if math.isnan(mean) else mean if lower else -mean

    for runs in sorted(groups, key=position):
        means = [_mean([run["metrics"].get(name) for run in runs], spread=name == rank) for name in metrics]
        costs = [f"{runs[0]['parameters']:,}", f"{fmean(run['seconds'] for run in runs):.1f}"]
        table.add_row(runs[0]["label"], *([str(len(runs))] if several else []), *means, *costs)
    return table


def _mean(values: list[Any], spread: bool) -> str:
    if None in values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{fmean(values):.3f}" + (f"±{stdev(values):.3f}" if spread else "")
