"""Predictions as a Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
import polars
from torch import Tensor

from datamodules.facts import TaskName


def write_predictions(path: Path, columns: Mapping[str, Tensor], class_names: Sequence[str] = ()) -> None:
    """One row for each row that was predicted, in double precision.

    Args:
        path: The file to write.
        columns: ``row``, the ids (N,); ``target`` where it is known; ``prediction``. What has several columns itself is
            written as ``prediction_<class or label>`` each.
        class_names: The classes' or labels'; numbers where they are left out.
    """
    written = {}
    for name, values in columns.items():
        array = values.cpu().numpy()
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1:
            written[name] = array
        else:
            labels = class_names or [str(index) for index in range(array.shape[1])]
            written |= {f"{name}_{label}": array[:, index] for index, label in enumerate(labels)}
    polars.DataFrame(written).write_parquet(path)


def answers(
    task: TaskName, prediction: Tensor, class_names: Sequence[str] = (), target_names: Sequence[str] = ()
) -> polars.DataFrame:
    """What was predicted, in words that a person reads.

    Args:
        task: What was asked.
        prediction: Probabilities of class 1 (N,), of each class (N, K) or label (N, L), or values (N, R).
        class_names: The classes' or labels'; numbers where they are left out.
        target_names: The targets'; numbers where they are left out.

    Returns:
        The class as ``prediction`` with ``probability_<class>`` of each; of labels 0 or 1 as ``prediction_<label>``
        with their ``probability_<label>``; of one target ``prediction``, of several ``prediction_<target>``.
    """
    values = prediction.double().numpy()
    if task == "binary":
        values = numpy.stack([1 - values, values], axis=1)
    columns = [numpy.ascontiguousarray(column) for column in values.T]
    numbers = [str(index) for index in range(len(columns))]
    names = list((target_names if task == "regression" else class_names) or numbers)
    if task == "regression":
        keys = ["prediction"] if len(names) == 1 else [f"prediction_{name}" for name in names]
        return polars.DataFrame(dict(zip(keys, columns, strict=True)))
    probabilities = {f"probability_{name}": column for name, column in zip(names, columns, strict=True)}
    if task == "multilabel":
        labels = {f"prediction_{name}": polars.Series((column > 0.5).astype(numpy.int8))
                  for name, column in zip(names, columns, strict=True)}  # fmt: skip
        return polars.DataFrame({**labels, **probabilities})
    # Of two equal ones the first, as in torch; a half is class 0, as in torchmetrics.
    best = polars.Series("prediction", values.argmax(axis=1).astype(numpy.uint32))
    return polars.DataFrame({"prediction": polars.Series(names).gather(best), **probabilities})
