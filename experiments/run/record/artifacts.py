"""Predictions as a Parquet file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars
from torch import Tensor

from datamodules import DataModule
from datamodules.inspection.inspection import inspect


def write_data(folder: Path, data: DataModule) -> None:
    """Write ``inspection.json`` and ``split.parquet``, a row id and its part in each row.

    The split of streamed rows is never listed; it follows from the settings, and its fingerprint is in the record.
    """
    if data.split is not None:
        parts = [
            polars.DataFrame({"row": rows.numpy()}).with_columns(part=polars.lit(part))
            for part, rows in data.split._asdict().items()
        ]
        polars.concat(parts).write_parquet(folder / "split.parquet")
    (folder / "inspection.json").write_text(json.dumps(inspect(data).plain(), indent=2) + "\n")


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
