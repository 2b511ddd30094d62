"""Every run's metrics from its own predictions."""

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
    """What a run reached on its test rows.

    Args:
        run: Which.
        metrics: All of its task, by name; NaN where undefined.
        values: (1 + RESAMPLES,) the compared metric, and on each resample of the test rows.
    """

    run: Run
    metrics: dict[str, float]
    values: Array

    @property
    def value(self) -> float:
        """The compared metric."""
        return float(self.values[0])


def score(runs: Iterable[Run], metric: str | None) -> tuple[dict[Run, Score], list[LeftOut]]:
    """Score runs by a metric, or by the one that ranks each, and leave out those whose predictions are not theirs.

    Raises:
        ConfigError: For a metric that no run's task has.
    """
    runs = list(runs)
    known = {name for run in runs for name in MEASURES.get(run.task, {})}
    if metric is not None and runs and metric not in known:
        raise ConfigError(f"--metric {metric} is not known for these runs; these are: {', '.join(sorted(known))}")
    scores: dict[Run, Score] = {}
    left: list[LeftOut] = []
    tested: dict[tuple[str, ...], tuple[Run, Predictions, Resamples]] = {}
    for run in runs:
        try:
            name = metric or run.rank_by
            if name not in MEASURES.get(run.task, {}):
                raise Unusable(f"has no {name}, because its task is {run.task}")
            predictions = read_predictions(run.path, run.task)
            if len(predictions.row) != run.rows["test"]:
                raise Unusable(f"has predictions for {len(predictions.row):,} of its {run.rows['test']:,} test rows")
            key = (run.task, *run.fingerprints)
            if key not in tested:
                tested[key] = (run, predictions, Resamples(predictions.row))
            first, others, resamples = tested[key]
            if not _same_rows(predictions, others):
                raise Unusable(f"has other test rows or targets in its predictions than {first.name}")
            scores[run] = _score(run, predictions, name, resamples)
        except Unusable as unusable:
            left.append(LeftOut(run.path, str(unusable)))
    return scores, left


def _score(run: Run, predictions: Predictions, name: str, resamples: Resamples) -> Score:
    target, prediction = predictions.target, predictions.prediction
    metrics = {metric: float(measure(target, prediction)[0]) for metric, measure in MEASURES[run.task].items()}
    for one in metrics.keys() & run.metrics.keys():
        if not numpy.isclose(metrics[one], run.metrics[one], rtol=1e-4, atol=1e-4, equal_nan=True):
            told = f"{run.metrics[one]:.4f} in its record, and {metrics[one]:.4f} by its predictions"
            raise Unusable(f"has the {one} {told}")
    measure = MEASURES[run.task][name]
    values = [measure(target, prediction, weights) for weights in resamples]
    return Score(run, metrics, numpy.concatenate([[metrics[name]], *values]))


def _same_rows(one: Predictions, other: Predictions) -> bool:
    same = numpy.array_equal(one.row, other.row) and numpy.array_equal(one.target, other.target)
    return same and one.prediction.shape == other.prediction.shape
