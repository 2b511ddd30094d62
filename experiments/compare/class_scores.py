"""Scores of each class or label against the others: the table of ``evenhand compare --by target``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.regular_file import read_regular
from experiments.compare.groups import Group
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from experiments.compare.statistics.row_interval import row_interval
from lit_models.metrics.classification_metrics import one_against_rest, predicted_class
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]
MEASURES_OF_A_CLASS = MEASURES["binary"]


@dataclass(frozen=True)
class ClassScore:
    """Scores of a group's runs on a class or label, as means over runs."""

    name: str
    rows: int  # test rows of the class
    recall: float
    low: float  # 95 % interval of the recall over test rows, and over seeds of several runs
    high: float
    precision: float
    f1: float
    auroc: float  # against all other rows; NaN if there are none
    taken_for: str  # class that most wrong predictions of its rows are of, with their fraction; empty without one


def score_classes(group: Group, task: str) -> list[ClassScore]:
    """Scores each class of a group's runs, that of the lowest recall first; classes without rows come last."""
    predictions = [read_predictions(run.path, task, run.threshold) for run in group.runs]
    count = sum(1 for _ in one_against_rest(predictions[0].target, predictions[0].prediction))
    names = class_names(group.runs[0].path, count)
    by_run = [[*one_against_rest(each.target, each.prediction, each.threshold)] for each in predictions]
    scores = [_scored(index, names, [run[index] for run in by_run], predictions) for index in range(count)]
    return sorted(scores, key=lambda score: numpy.inf if numpy.isnan(score.recall) else score.recall)


def class_names(folder: Path, count: int) -> list[str]:
    """Returns the names of a run's classes from its inspection; their numbers where it has none."""
    try:
        names = [*json.loads(read_regular(folder / "inspection.json", "restore it"))["classes"]]
    except (OSError, DataError, ValueError, KeyError, TypeError, RecursionError):
        names = []
    return names if len(names) == count else [*map(str, range(count))]


def _scored(
    index: int,
    names: Sequence[str],
    runs: Sequence[tuple[Array, ...]],
    predictions: Sequence[Predictions],
) -> ClassScore:
    def mean(name: str, column: int) -> float:
        measure = MEASURES_OF_A_CLASS[name]
        return float(numpy.mean([measure(run[0], run[column])[0] for run in runs]))

    rows = runs[0][0] == 1
    low = high = recall = numpy.nan
    taken_for = ""
    if rows.any():
        accuracy, resamples = MEASURES_OF_A_CLASS["accuracy"], Resamples(predictions[0].row[rows])
        right = [(run[0][rows], run[1][rows]) for run in runs]
        values = [numpy.concatenate([accuracy(*pair), *(accuracy(*pair, w) for w in resamples)]) for pair in right]
        recall = float(numpy.mean([each[0] for each in values]))
        low, high = row_interval(numpy.stack(values), int(rows.sum()), accuracy)
        taken_for = _taken_for(index, names, predictions, rows)
    precision, f1 = mean("precision_binary", 1), mean("f1_binary", 1)
    return ClassScore(names[index], int(rows.sum()), recall, low, high, precision, f1, mean("auroc", 2), taken_for)


def _taken_for(index: int, names: Sequence[str], predictions: Sequence[Predictions], rows: NDArray[numpy.bool_]) -> str:
    if predictions[0].target.ndim == 2:  # a label is taken for no other one
        return ""
    predicted = numpy.concatenate([predicted_class(each.prediction[rows], each.threshold) for each in predictions])
    counts = numpy.bincount(predicted, minlength=len(names))
    counts[index] = 0
    most = int(counts.argmax())
    return f"{names[most]} ({counts[most] / len(predicted):.0%})" if counts[most] else ""
