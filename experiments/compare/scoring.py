"""Scores of runs: their metrics, computed from their own predictions."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from experiments.compare.load_runs import LeftOut, Run, Unusable
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]


@dataclass(frozen=True)
class Score:
    """Metrics of a run on its test rows.

    Args:
        run: The run.
        metrics: All metrics of its task by name; NaN where undefined.
        values: (1 + RESAMPLES,) the compared metric, first on the test rows, then on each resample of them.
    """

    run: Run
    metrics: dict[str, float]
    values: Array

    @property
    def value(self) -> float:
        """The compared metric."""
        return float(self.values[0])


def score(runs: Iterable[Run], metric: str | None) -> tuple[dict[Run, Score], list[LeftOut]]:
    """Scores runs by a metric, None for the one that ranks each run's task; leaves out runs with unusable predictions.

    Raises:
        ConfigError: For a metric that no run's task has.
    """
    runs = list(runs)
    names = {name for run in runs for name in MEASURES.get(run.task, {})}
    if metric is not None and runs and metric not in names:
        raise ConfigError(f"--metric {metric} is not known for these runs; these are: {', '.join(sorted(names))}")
    scores: dict[Run, Score] = {}
    left: list[LeftOut] = []
    firsts: dict[tuple[str, ...], tuple[Run, Predictions, Resamples]] = {}
    for run in runs:
        try:
            name = metric or run.rank_by
            if name not in MEASURES.get(run.task, {}):
                raise Unusable(f"has no {name}, because its task is {run.task}")
            predictions = read_predictions(run.path, run.task)
            if len(predictions.row) != run.rows["test"]:
                raise Unusable(f"has predictions for {len(predictions.row):,} of its {run.rows['test']:,} test rows")
            key = (run.task, *run.fingerprints)
            if key not in firsts:
                firsts[key] = (run, predictions, Resamples(predictions.row))
            first, expected, resamples = firsts[key]
            if not _same_rows(predictions, expected):
                raise Unusable(f"has other test rows or targets in its predictions than {first.name}")
            scores[run] = _score(run, predictions, name, resamples)
        except Unusable as unusable:
            left.append(LeftOut(run.path, str(unusable)))
    return scores, left


def _score(run: Run, predictions: Predictions, name: str, resamples: Resamples) -> Score:
    rows = predictions.target, predictions.prediction
    metrics = {metric: float(measure(*rows)[0]) for metric, measure in MEASURES[run.task].items()}
    for metric in metrics.keys() & run.metrics.keys():
        recorded, computed = run.metrics[metric], metrics[metric]
        if not numpy.isclose(computed, recorded, rtol=1e-4, atol=1e-4, equal_nan=True):
            raise Unusable(f"has the {metric} {recorded:.4f} in its record, and {computed:.4f} by its predictions")
    resampled = [MEASURES[run.task][name](*rows, weights) for weights in resamples]
    return Score(run, metrics, numpy.concatenate([[metrics[name]], *resampled]))


def _same_rows(ours: Predictions, expected: Predictions) -> bool:
    same = numpy.array_equal(ours.row, expected.row) and numpy.array_equal(ours.target, expected.target)
    return same and ours.prediction.shape == expected.prediction.shape
