"""Predictions as a Parquet file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars
from torch import Tensor


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
