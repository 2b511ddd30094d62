"""Files of a run beside its record: predictions, inspection and split."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor
from typing_extensions import override

from datamodules import DataModule
from datamodules.inspection.inspection import inspect
from experiments.run.atomic_write import write_atomically, write_json
from experiments.terminal import say


def write_data(folder: Path, data: DataModule) -> list[str]:
    """Writes ``inspection.json`` and ``split.parquet``, which has a row id and its split in each row.

    Returns the suspicions of the inspection.

    Streamed rows have no such file; their split follows from the settings, and its fingerprint is in the record.
    """
    if data.split is not None:
        splits = [
            polars.DataFrame({"row": rows.numpy()}).with_columns(part=polars.lit(name))
            for name, rows in data.split._asdict().items()
        ]
        _write_parquet(folder / "split.parquet", polars.concat(splits))
    inspection = inspect(data)
    write_json(folder / "inspection.json", inspection.plain())
    return inspection.suspicions


def write_predictions(
    path: Path,
    columns: Mapping[str, Tensor],
    class_names: Sequence[str] = (),
    id_columns: polars.DataFrame | None = None,
) -> None:
    """Writes predictions as Parquet, a row each, in double precision.

    The columns are ``row``, the ids (N,); those that name the rows besides; optionally ``target``; and ``prediction``
    (N,), or (N, classes), which becomes columns ``prediction_<class or label>``, numbered without names.
    """
    written = {}
    for name, values in columns.items():
        array = values.cpu().numpy()
        if array.ndim == 1 or array.shape[1] == 1:
            written[name] = array.reshape(-1)
        else:
            labels = class_names or range(array.shape[1])
            written |= {f"{name}_{label}": array[:, index] for index, label in enumerate(labels)}
    table, named = polars.DataFrame(written), [] if id_columns is None else id_columns.get_columns()
    _write_parquet(path, table.select("row", *named, polars.exclude("row")))


def _write_parquet(path: Path, table: polars.DataFrame) -> None:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_atomically(path, buffer.getbuffer())


class PredictionWriter(BasePredictionWriter):
    """Callback that writes the predictions of ``Trainer.predict`` on one device as Parquet."""

    def __init__(self, path: Path, class_names: Sequence[str] = ()) -> None:
        super().__init__("epoch")
        self.path = path
        self.class_names = class_names

    @override
    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Sequence[Any], batch_indices: Sequence[Any]
    ) -> None:
        columns = {name: torch.cat([batch[name] for batch in predictions]) for name in ("row", "prediction")}
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]  # set from another class
        write_predictions(self.path, columns, self.class_names, data.id_columns(columns["row"].cpu()))
        say(f"{len(columns['row']):,} rows predicted: {self.path}")
