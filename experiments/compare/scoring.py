"""Scores of runs: their metrics, computed from their own predictions."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy
from numpy.typing import NDArray

from experiments.compare.groups import grouped
from experiments.compare.load_runs import LeftOut, Run, Unusable
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.statistics.bayesian_bootstrap import Resamples
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]
Reference = tuple[Run, Predictions, Resamples]


@dataclass(frozen=True)
class Score:
    """Metrics of a run on its test rows."""

    run: Run
    metrics: dict[str, float]  # all of its task by name; NaN where undefined
    values: Array  # (1 + RESAMPLES,) the compared metric, first on the test rows, then on each resample of them

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
    found: dict[Run, Score | LeftOut] = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # numpy releases the interpreter's lock
        for alike in grouped(runs, lambda run: (run.task, run.rows_fingerprint, run.split)):
            for index, run in enumerate(alike):
                reference = _reference(run, metric)
                if isinstance(reference, LeftOut):
                    found[run] = reference
                    continue
                rest = alike[index:]
                found |= zip(rest, pool.map(partial(_scored, metric=metric, reference=reference), rest), strict=True)
                break
    scores = {run: found[run] for run in runs}
    left = [score for score in scores.values() if isinstance(score, LeftOut)]
    return {run: score for run, score in scores.items() if isinstance(score, Score)}, left


def _read(run: Run, metric: str | None) -> Predictions:
    name = metric or run.rank_by
    if name not in MEASURES.get(run.task, {}):
        raise Unusable(f"has no {name}, because its task is {run.task}")
    predictions = read_predictions(run.path, run.task, run.threshold)
    if len(predictions.row) != run.rows["test"]:
        raise Unusable(f"has predictions for {len(predictions.row):,} of its {run.rows['test']:,} test rows")
    return predictions


def _reference(run: Run, metric: str | None) -> Reference | LeftOut:
    """Returns a run with its predictions and resamples, or why its predictions are unusable."""
    try:
        predictions = _read(run, metric)
    except Unusable as unusable:
        return LeftOut(run.path, str(unusable))
    return run, predictions, Resamples(predictions.row)


def _scored(run: Run, metric: str | None, reference: Reference) -> Score | LeftOut:
    """Scores a run, or says why not; the reference is the first usable run of the same rows and split."""
    first, expected, resamples = reference
    try:
        predictions = expected if run is first else _read(run, metric)
        same = numpy.array_equal(predictions.row, expected.row)
        same = same and numpy.array_equal(predictions.target, expected.target)
        if not same or predictions.prediction.shape != expected.prediction.shape:
            raise Unusable(f"has other test rows or targets in its predictions than {first.name}")
        measures, rows = MEASURES[run.task], (predictions.target, predictions.prediction)
        metrics = {name: float(measure(*rows, threshold=run.threshold)[0]) for name, measure in measures.items()}
        for name in metrics.keys() & run.metrics.keys():
            recorded, computed = run.metrics[name], metrics[name]
            if not numpy.isclose(computed, recorded, rtol=1e-4, atol=1e-4, equal_nan=True):
                raise Unusable(f"has the {name} {recorded:.4f} in its record, and {computed:.4f} by its predictions")
    except Unusable as unusable:
        return LeftOut(run.path, str(unusable))
    name = metric or run.rank_by
    resampled = [measures[name](*rows, weights, run.threshold) for weights in resamples]
    return Score(run, metrics, numpy.concatenate([[metrics[name]], *resampled]))
