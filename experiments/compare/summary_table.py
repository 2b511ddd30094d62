"""Table of runs side by side, for the terminal."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from experiments.compare.groups import grouped
from experiments.compare.table_formats import Sheet, number
from lit_models.metrics.task_metrics import MEASURES


def side_by_side(records: Sequence[dict[str, Any]], title: str) -> Sheet:
    """Returns a table with a row for each label, the mean over its runs; best first by the ranking metric.

    A label whose runs lack that metric comes last. Of several runs, the ranking metric also has its
    standard deviation over them (n - 1). A narrow terminal does without seconds and parameters, then without the
    metrics from the last to the second.

    Args:
        records: Records of finished runs with the same ranking metric, each with the key ``label`` added.
        title: Title of the table.
    """
    rank = records[0]["rank_by"]
    names = dict.fromkeys(name for record in records for name in record["metrics"] if name != "test/loss")
    metrics = [rank, *(name for name in names if name != rank)]
    groups = grouped(records, lambda record: record["label"])
    several = len(records) > len(groups)
    columns = ["model", *(["seeds"] if several else []), *(name.removeprefix("test/") for name in metrics)]
    lower = MEASURES[records[0]["task"]][rank.removeprefix("test/")].lower_is_better

    def position(runs: list[dict[str, Any]]) -> float:
        mean = fmean(run["metrics"].get(rank, math.nan) for run in runs)
        return math.inf if math.isnan(mean) else mean if lower else -mean

    rows = []
    for runs in sorted(groups, key=position):
        means = [_mean([run["metrics"].get(name) for run in runs], spread=name == rank) for name in metrics]
        costs = [f"{runs[0]['parameters']:,}", f"{fmean(run['seconds'] for run in runs):.1f}"]
        rows.append([runs[0]["label"], *([str(len(runs))] if several else []), *means, *costs])
    count, first = len(columns), len(columns) - len(metrics)
    spare = [count + 1, count, *range(count - 1, first, -1)]
    return Sheet(title, [*columns, "parameters", "seconds"], rows, spare=spare)


def _mean(values: list[Any], spread: bool) -> str:
    if None in values:
        return "–"
    if len(values) == 1:
        return number(values[0])
    return _rounded(fmean(values)) + (f"±{_rounded(stdev(values))}" if spread else "")


def _rounded(value: float) -> str:
    """Writes a mean with three decimals; with three digits or more where those would say nothing."""
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else number(value)
