"""Target columns of a table, and the task that their values suggest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.tables.casting import check_complete, encode, to_numbers
from datamodules.types import TaskName

FEW = 20
"""Largest number of different whole numbers that are taken for classes; up to ``SOME`` may be, which a note asks."""
SOME = 200


class Target(NamedTuple):
    """Target of a data set."""

    y: Tensor  # class indices (N,), labels (N, L) or values (N, R)
    task: TaskName
    num_outputs: int
    class_names: tuple[str, ...]  # of the classes or labels; none for regression


def read_target(frame: polars.DataFrame, task: TaskName | None = None, train: Tensor | None = None) -> Target:
    """Returns the target in columns of a frame; without a ``task`` the values of the ``train`` rows suggest it.

    Raises ``DataError`` for missing targets, and for values that do not fit the task or suggest none.
    """
    for column in frame.iter_columns():
        check_complete(column, "target")
    names = tuple(frame.columns)
    if task is None:
        task = infer_task(frame if train is None else frame[train.numpy()])
        if len(names) == 1 and task in ("binary", "multiclass"):
            task = class_task(frame.to_series().n_unique())  # a class that no train row has is named later
    if task in ("binary", "multiclass") and len(names) > 1 and is_one_hot(frame):
        y = _numbers(frame).argmax(dim=1)
        return Target(y, task, 1 if task == "binary" else len(names), names)
    match task:
        case "regression":
            return Target(_numbers(frame), "regression", len(names), ())
        case "multilabel":
            y = _numbers(frame)
            if not ((y == 0) | (y == 1)).all():
                raise DataError(f"the labels of multilabel are 0 and 1, and {', '.join(names)} have other values")
            return Target(y.long(), "multilabel", len(names), names)
        case "binary" | "multiclass" as one_class:
            if len(names) > 1:
                raise DataError(f"{one_class} has one target column, and --data.target names {len(names)}")
            y, classes = _classes(frame.to_series())
            if len(classes) < 2 or (one_class == "binary" and len(classes) > 2):
                wanted = "exactly" if one_class == "binary" else "at least"
                raise DataError(
                    f"the task {one_class} needs {wanted} two classes, and target {names[0]} has {len(classes)}; "
                    "choose another --data.target or --data.task"
                )
            return Target(y, one_class, 1 if one_class == "binary" else len(classes), tuple(classes))
    raise DataError(f"task {task!r} is unknown; it is binary, multiclass, multilabel or regression")


def infer_task(frame: polars.DataFrame) -> TaskName:
    """Infers the task from target columns without missing values.

    One column: two values are binary, text and up to 20 whole numbers multiclass, other numbers regression. Several:
    multilabel if all are 0 and 1, binary or multiclass if each row also has a single 1, regression if all are numbers.
    """
    columns = frame.get_columns()
    texts = [column.name for column in columns if not _is_number(column)]
    if len(columns) > 1:
        if texts:
            raise DataError(f"several targets are all labels of 0 and 1 or all numbers, and {texts[0]} is neither")
        if is_one_hot(frame):
            return class_task(len(columns))
        zero_one = all(column.cast(polars.Float64).is_in([0.0, 1.0]).all() for column in columns)
        return "multilabel" if zero_one else "regression"
    (column,) = columns
    plain = column.dtype.is_integer() or column.dtype.is_float()  # polars takes many times the column's memory
    different = polars.Series(numpy.unique(column.to_numpy())) if plain else column.unique()
    is_class = texts or (len(different) <= FEW and is_whole(different))
    return class_task(len(different)) if is_class or len(different) == 2 else "regression"


def class_task(classes: int) -> TaskName:
    """Returns the task of one class a row."""
    return "binary" if classes == 2 else "multiclass"


def is_whole(column: polars.Series) -> bool:
    """Returns True if all values are whole numbers, of any numeric type, and exact in float64."""
    if not column.dtype.is_float():
        return column.dtype.is_integer()
    return bool(((column % 1 == 0) & (column.abs() < 2.0**53)).all())


def is_one_hot(frame: polars.DataFrame) -> bool:
    """Returns True if each row of several columns has a single 1 and otherwise 0, and each column has a 1."""
    if not all(map(_is_number, frame.iter_columns())):
        return False
    values = _numbers(frame)
    return bool(((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all() and (values.sum(0) > 0).all())


def task_note(task: TaskName, y: Tensor, names: Sequence[str]) -> str:
    """Returns a note on an inferred task that the targets ``y`` with some names leave in doubt, or an empty string."""
    if task in ("binary", "multiclass") and len(names) > 1:
        some = f"{', '.join(names[:3])}{' ...' * (len(names) > 3)}"
        return f"each row has a single 1 in {some}: one class a row; --data.task multilabel makes them labels"
    if task == "regression" and y[0].numel() == 1 and bool((y == y.round()).all()):
        different = len(y.unique())
        if FEW < different <= min(SOME, len(y) / 5):
            return (
                f"the target has {different} different whole numbers, read as values to predict; "
                "--data.task multiclass makes them classes"
            )
    return ""


def check_train_targets(target: Target, train: Tensor) -> None:
    """Raises ``DataError`` if the train rows, by their ids, lack a class, or have a label in all rows or in none."""
    if target.task == "regression":
        return
    y, multilabel = target.y[train], target.task == "multilabel"
    counts = y.sum(dim=0) if multilabel else torch.bincount(y, minlength=len(target.class_names))
    check_train_counts(target.class_names, counts, len(y), multilabel)


def check_train_counts(names: Sequence[str], counts: Tensor, rows: int, multilabel: bool, fraction: float = 1) -> None:
    """Raises ``DataError`` if the train rows lack a class, or have a label in all rows or in none.

    ``counts`` (K,) are the train rows of each class, or those with each label; ``fraction`` is ``train_fraction``.
    """
    lacking = (counts == 0) | ((counts == rows) & multilabel)
    without = [name for name, lacks in zip(names, lacking.tolist(), strict=True) if lacks]
    larger = f"take a larger --data.train_fraction than {fraction:g}" if fraction < 1 else ""
    if without and multilabel:
        advice = larger or "choose another split or drop it"
        raise DataError(f"label {without[0]} is the same in all {rows:,} train rows; {advice}")
    if without:
        advice = larger or "choose another split or drop its rows"
        which = f"{rows:,} train rows" if larger else "train rows"
        raise DataError(
            f"the {which} have no row of class {', '.join(without[:5])}{' ...' * (len(without) > 5)}, so that "
            f"nothing can be learned of it; {advice}"
        )


def _is_number(column: polars.Series) -> bool:
    return column.dtype.is_numeric() or column.dtype == polars.Boolean


def _numbers(frame: polars.DataFrame) -> Tensor:
    return torch.stack([to_numbers(column) for column in frame.iter_columns()], dim=1)


def _classes(column: polars.Series) -> tuple[Tensor, list[str]]:
    """Returns class indices and names; numbers are in numeric order."""
    if not column.dtype.is_numeric():
        return encode(column)
    numbers = column if column.dtype.is_integer() else column.cast(polars.Float64)
    different, y = numpy.unique(numbers.to_numpy(), return_inverse=True)  # polars takes more memory
    whole = is_whole(polars.Series(different))
    return torch.from_numpy(y), [str(int(value) if whole else value) for value in different]
