"""Report of slices: tables for people, plain values for programs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import polars

from experiments.compare.class_scores import ClassScore, score_classes
from experiments.compare.groups import Block, Group, count_splits
from experiments.compare.load_runs import Run
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.slices import SliceScore, score_slices, slices_of
from experiments.compare.table_formats import Sheet, amount, defined, number
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import OF_CLASSES

TARGET = "target"
"""Word for the classes, or for quantiles of the values, that are predicted."""
MOST_NAMED = 15
"""Columns that an error names."""

SEEDS = "over test rows, and over seeds where there are several runs"
OF_SLICES = (
    f"95 % interval: {SEEDS}.",
    "Against the other rows: worse or better where the interval of the difference, at 95 % for all slices of a table "
    "together, excludes 0.",
)
OF_CLASS_TABLE = f"Recall: fraction of the class's rows that are right, with its 95 % interval {SEEDS}."

Scores = Sequence[SliceScore] | Sequence[ClassScore]


class Sliced(NamedTuple):
    """Scores of the groups of a block on slices of its test rows."""

    content: dict[str, Any]  # for JSON
    rows: list[dict[str, Any]]  # for CSV
    sheets: list[Sheet]


def sliced(block: Block, by: str, metric: str | None, packages: Sequence[str] = ()) -> Sliced:
    """Scores every group of a block on slices by a column, or on each class of the target.

    A user's trusted packages have the class of the data, which are read again for a column.

    Raises:
        ConfigError: For runs of several splits, an unknown column, or data that cannot be read again.
    """
    if len(block.splits) > 1:
        raise ConfigError(
            f"--by slices the test rows of one split, and these runs have {count_splits(block)}; name the runs of one, "
            "as by --where data.fold=0"
        )
    runs = [run for group in block.groups for run in group.runs]
    predictions = read_predictions(runs[0].path, block.task)
    is_target = by == TARGET or (runs[0].columns is not None and runs[0].columns.target == (by,))
    if is_target and block.task in OF_CLASSES:
        if metric is not None:
            raise ConfigError(f"--by {by} shows recall, precision, F1 and AUROC of each class; leave --metric out")
        return _report(block, by, lambda group: score_classes(group, block.task), _class_sheet)
    slices = slices_of(_target(predictions) if is_target else _column(runs, by, predictions, packages))
    return _report(block, by, lambda group: score_slices(block, group, slices), _slice_sheet)


def _target(predictions: Predictions) -> polars.Series:
    if predictions.target.shape[1] > 1:
        raise ConfigError(
            f"--by {TARGET} is for classes, or for one target, and these runs predict {predictions.target.shape[1]}; "
            "name a column of the data"
        )
    return polars.Series(TARGET, predictions.target[:, 0])


def _column(runs: Sequence[Run], by: str, predictions: Predictions, packages: Sequence[str]) -> polars.Series:
    from experiments.compare.read_columns import read_columns  # imports torch

    columns = read_columns(runs, predictions.row, packages)
    if by not in columns.columns:
        names = [TARGET, *columns.columns]
        more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
        raise ConfigError(f"--by {by} is no column of the test rows; these are: {', '.join(names[:MOST_NAMED])}{more}")
    return columns[by]


def _report(
    block: Block, by: str, score: Callable[[Group], Scores], sheet: Callable[[str, str, Block, Any], Sheet]
) -> Sliced:
    groups, rows, sheets = [], list[dict[str, Any]](), []
    names = {"data": block.data, "by": by}
    for group in block.groups:
        scores = score(group)
        values = [defined(asdict(each)) for each in scores]
        about = {"group": group.label, "n": len(group.runs)}
        metric = {} if sheet is _class_sheet else {"metric": block.metric}
        groups.append({**about, **metric, "slices": values})
        rows += [{**names, **about, **metric, **each} for each in values]
        runs = f", {len(group.runs)} runs" if len(group.runs) > 1 else ""
        sheets.append(sheet(f"{group.label}{runs}", by, block, scores))
    test_rows = block.groups[0].runs[0].rows["test"]
    return Sliced({**names, "task": block.task, "test_rows": test_rows, "groups": groups}, rows, sheets)


def _slice_sheet(label: str, by: str, block: Block, scores: Sequence[SliceScore]) -> Sheet:
    direction = "higher" if block.sign > 0 else "lower"
    test_rows = f"{block.groups[0].runs[0].rows['test']:,} test rows"
    title = f"{block.data}: {block.metric} by {by}, {direction} is better, of {label}, on {test_rows}"
    columns = [by, "rows", block.metric, "95 % interval", "against the other rows"]
    rows = [
        [each.name, f"{each.rows:,}", number(each.value), _interval(each), _verdict(each, block.sign)]
        for each in scores
    ]
    return Sheet(title, columns, rows, OF_SLICES, texts=(0, 4))


def _class_sheet(label: str, by: str, block: Block, scores: Sequence[ClassScore]) -> Sheet:
    title = f"{block.data}: each class of {by}, of {label}, on {block.groups[0].runs[0].rows['test']:,} test rows"
    columns = ["class", "rows", "recall", "95 % interval", "precision", "F1", "AUROC", "most often taken for"]
    rows = [
        [each.name, f"{each.rows:,}", number(each.recall), _interval(each)]
        + [number(value) for value in (each.precision, each.f1, each.auroc)]
        + [each.taken_for]
        for each in scores
    ]
    shown = [index for index in range(len(columns)) if index < 7 or any(row[index] for row in rows)]
    rows = [[row[index] for index in shown] for row in rows]
    return Sheet(title, [columns[index] for index in shown], rows, (OF_CLASS_TABLE,), texts=(0, 7), spare=(6, 5))


def _interval(score: SliceScore | ClassScore) -> str:
    return "–" if math.isnan(score.low) else f"{number(score.low)} to {number(score.high)}"


def _verdict(score: SliceScore, sign: int) -> str:
    """Returns how a slice compares with the other rows, such as ``worse by .066``."""
    if math.isnan(score.gap):
        return ""
    if math.isnan(score.gap_low):
        return "too few rows to tell"
    if score.gap_low <= 0 <= score.gap_high:
        return "no difference shown"
    return f"{'better' if sign * score.gap > 0 else 'worse'} by {amount(score.gap)}"
