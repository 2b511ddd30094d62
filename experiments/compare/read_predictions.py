"""Reads a run's predictions of its test rows from ``predictions.parquet``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy
import polars
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from experiments.compare.load_runs import Unusable

Array = NDArray[numpy.float64]
COLUMNS = ("row", "target", "prediction")


@dataclass(frozen=True)
class Predictions:
    """Targets and predictions of test rows, sorted by row id."""

    row: NDArray[numpy.int64]  # (N,), unique
    target: Array  # (N,) class indices for binary and multiclass; (N, outputs) labels of 0 and 1, or values
    prediction: Array  # (N,) probabilities of class 1 for binary; else (N, outputs) probabilities or values
    threshold: float = 0.5  # probability above which a row of a binary task is of class 1


def read_predictions(folder: Path, task: str, threshold: float = 0.5) -> Predictions:
    """Reads the predictions of a run; ``threshold`` is the one that its record has.

    Raises:
        Unusable: If the file is missing or broken, or does not fit the task.
    """
    path = folder / "predictions.parquet"
    try:
        check_regular(path)
        frame = polars.read_parquet(path.read_bytes())
    except FileNotFoundError:
        raise Unusable("its predictions.parquet is missing") from None
    except (DataError, OSError, polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise Unusable("its predictions.parquet cannot be read") from error
    names = {name: [c for c in frame.columns if c == name or c.startswith(f"{name}_")] for name in COLUMNS}
    kinds = [frame.schema[column] for columns in names.values() for column in columns]
    if not frame.height or not all(names.values()) or not all(kind.is_numeric() for kind in kinds):
        raise Unusable("its predictions.parquet lacks rows, or the columns row, target and prediction of numbers")
    if "row" not in frame.columns or not frame.schema["row"].is_integer() or frame["row"].null_count():
        raise Unusable("its predictions.parquet names rows by something else than their ids")
    row = frame["row"].to_numpy().astype(numpy.int64)
    order = row.argsort()
    row = row[order]
    if (row[1:] == row[:-1]).any():
        raise Unusable("its predictions.parquet has a row twice")
    target, prediction = (
        numpy.column_stack([frame[column].to_numpy().astype(numpy.float64) for column in names[name]])[order]
        for name in ("target", "prediction")
    )  # a missing value becomes NaN
    if task in ("binary", "multiclass"):
        classes = 2 if task == "binary" else prediction.shape[1]
        if target.shape[1] > 1 or classes < 2 or not numpy.isin(target, numpy.arange(classes)).all():
            raise Unusable("its predictions.parquet has targets that are no classes")
        target = target[:, 0]
    elif target.shape != prediction.shape or not numpy.isfinite(target).all():
        raise Unusable("its predictions.parquet has targets that do not go with the predictions")
    if task == "binary":
        if prediction.shape[1] > 1:
            raise Unusable("its predictions.parquet has several predictions a row, and the task is binary")
        prediction = prediction[:, 0]
    return Predictions(row, target, prediction, threshold)


def mean_predictions(folders: Sequence[Path], task: str, thresholds: Sequence[float] = (0.5,)) -> Predictions:
    """Reads the predictions of several runs of the same test rows, and averages probabilities or values.

    The threshold is the mean of theirs, as that of their ensemble.

    Raises:
        Unusable: If a file is missing or broken, or has other rows or targets than the first.
    """
    first = read_predictions(folders[0], task)
    total = first.prediction.copy()
    for folder in folders[1:]:
        other = read_predictions(folder, task)
        same = numpy.array_equal(other.row, first.row) and numpy.array_equal(other.target, first.target)
        if not same or other.prediction.shape != total.shape:
            raise Unusable(f"its predictions have other test rows or targets than those of {folders[0]}")
        total += other.prediction
    return replace(first, prediction=total / len(folders), threshold=sum(thresholds) / len(thresholds))
