"""Cross-validation of ``sweep --folds K``: a table over the folds, and the out-of-fold predictions of all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev

import numpy
import polars

from experiments.compare.groups import grouped
from experiments.compare.load_runs import Run, Unusable, read_runs
from experiments.compare.read_predictions import Predictions, read_predictions
from experiments.compare.table_formats import Sheet, number, to_terminal
from experiments.console import Console
from experiments.run.atomic_write import write_atomically
from experiments.sweep.grid import Run as Planned
from lit_models.metrics.task_metrics import MEASURES

FILE = "oof_predictions.parquet"
NOTES = (
    "mean over folds: each fold's test metric, averaged over its seeds, then over the folds. Its sd is over the folds.",
    "The folds share train rows, so sd / sqrt(folds) is smaller than the error of the mean, and no interval is shown.",
    "over all rows: the metric of one seed's out-of-fold predictions of every row, averaged over the seeds.",
)


@dataclass(frozen=True)
class CrossValidation:
    """Table of the configurations, and the out-of-fold predictions behind it."""

    sheet: Sheet
    predictions: polars.DataFrame  # columns model, seed, fold, and those of predictions.parquet
    missing: list[str]  # sentences on the configurations and seeds that are left out


def cross_validate(planned: Mapping[Path, Planned], folds: int, title: str) -> CrossValidation:
    """Returns the cross-validation of the planned runs.

    A seed counts if each of its folds is a finished run of the same data with readable predictions.
    """
    paths = [path for path in planned if (path / "record.json").exists()]
    runs = {run.path: run for run in (read_runs(paths)[0] if paths else [])}
    rows, frames, missing = [], [], []
    for same in grouped(planned, lambda path: planned[path].label):
        label = planned[same[0]].label
        repeats: list[tuple[list[Run], list[Predictions]]] = []
        for one_seed in grouped(same, lambda path: planned[path].seed):
            name = f"{label} seed {planned[one_seed[0]].seed}"
            found = [runs[path] for path in one_seed if path in runs]
            if len(found) < folds:
                missing.append(
                    f"{name}: {len(found)} of {folds} folds are finished, so that it is in no cross-validation"
                )
                continue
            try:
                repeats.append((found, _out_of_fold(found)))
            except Unusable as unusable:
                missing.append(f"{name} is in no cross-validation: {unusable}")
                continue
            frames += [_frame(run.path, planned[run.path]) for run in found]
        if repeats:
            rows.append(_cells(label, repeats))
    metrics = list(dict.fromkeys(metric for metric, _ in rows))
    columns = ["model", "metric", "mean over folds", "sd over folds", "over all rows", "rows", "folds", "seeds"]
    cells = [cells for metric in metrics for name, cells in rows if name == metric]
    together = polars.concat(frames, how="diagonal") if frames else polars.DataFrame()
    heading = f"{title}: cross-validation, {folds} folds"
    return CrossValidation(Sheet(heading, columns, cells, list(NOTES)), together, missing)


def write_predictions(folder: Path, predictions: polars.DataFrame) -> Path:
    """Writes the out-of-fold predictions into the folder of a sweep; returns the path."""
    content = BytesIO()
    predictions.write_parquet(content)
    write_atomically(folder / FILE, content.getvalue())
    return folder / FILE


def report_folds(folder: Path, runs: Sequence[Planned], folds: int) -> None:
    """Prints the cross-validation of a sweep's runs, writes its predictions, and says what is missing."""
    result = cross_validate({folder / run.name: run for run in runs}, folds, folder.name)
    console = Console(highlight=False, soft_wrap=True)
    if result.sheet.rows:
        to_terminal(result.sheet)
        console.print(f"out-of-fold predictions: {write_predictions(folder, result.predictions)}", markup=False)
    for line in result.missing:
        console.print(line, markup=False)


def _out_of_fold(runs: Sequence[Run]) -> list[Predictions]:
    """Returns the predictions of the folds of one seed.

    Raises:
        Unusable: For folds of several data sets or tasks, unusable predictions, or a row that two folds have.
    """
    if len({(run.fingerprints[0], run.task, run.rank_by) for run in runs}) > 1:
        raise Unusable("its folds have other data or another task than each other")
    predictions = [read_predictions(run.path, run.task) for run in runs]
    row = numpy.concatenate([each.row for each in predictions])
    if len(numpy.unique(row)) < len(row):
        raise Unusable("two of its folds have the same test row")
    return predictions


def _cells(label: str, repeats: Sequence[tuple[list[Run], list[Predictions]]]) -> tuple[str, list[str]]:
    """Returns the ranking metric and the cells of a configuration, from the runs and predictions of each seed."""
    first = repeats[0][0][0]
    measure = MEASURES[first.task][first.rank_by]
    by_fold = [
        fmean(run.metrics[first.rank_by] for run in runs) for runs in zip(*(runs for runs, _ in repeats), strict=True)
    ]
    pooled = []
    for _, predictions in repeats:
        target = numpy.concatenate([each.target for each in predictions])
        pooled.append(float(measure(target, numpy.concatenate([each.prediction for each in predictions]))[0]))
    count = sum(len(each.row) for each in repeats[0][1])
    numbers = [number(value) for value in (fmean(by_fold), stdev(by_fold), fmean(pooled))]
    return first.rank_by, [label, first.rank_by, *numbers, f"{count:,}", str(len(by_fold)), str(len(repeats))]


def _frame(path: Path, run: Planned) -> polars.DataFrame:
    frame = polars.read_parquet((path / "predictions.parquet").read_bytes())
    about = [
        polars.lit(run.label).alias("model"),
        polars.lit(run.seed).alias("seed"),
        polars.lit(run.fold).alias("fold"),
    ]
    return frame.select(*about, *frame.columns)
