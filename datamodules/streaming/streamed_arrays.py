"""A user's arrays that do not fit into memory."""

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.remote_files import local_file
from datamodules.splitting.splits import PARTS
from datamodules.streaming.hash_split import HashSplit
from datamodules.streaming.npy_file import DiskArray
from datamodules.streaming.parquet_columns import TargetEncoding, learn_target_encoding
from datamodules.streaming.stream_data import StreamData
from datamodules.streaming.streaming_statistics import floating
from datamodules.tables.targets import class_task
from datamodules.types import Modality, TaskName

MODALITIES: dict[int, Modality] = {2: "table", 3: "series", 4: "image"}
"""Modality by the number of an array's dimensions."""

MOST_CLASSES = 10_000
"""Largest number of classes; larger whole numbers are no class indices."""

PIECE_ROWS = 1 << 16


class StreamedArrays(StreamData):
    """Inputs and targets in two .npy files, read from the disk in training.

    Inputs are (N, F) for a table of numbers, (N, C, T) for series, (N, C, H, W) for images, of any number type. Targets
    (N,) of a whole-number type are class indices from 0. Other targets are inferred as by ``TableData``: labels, (N, L)
    of 0 and 1; one class a row, (N, K) with a single 1, or up to 20 different whole numbers; or values, (N,) or (N, R).

    Args:
        path: File of the inputs.
        labels: File of the targets.
        task: Task; inferred from the targets by default.
        kwargs: Options of every stream, see ``StreamData``; arrays have no columns to split by.

    Raises:
        DataError: For files or options that cannot be used.
    """

    def __init__(self, path: str, labels: str, task: TaskName | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        path, labels = local_file(path), local_file(labels)
        if self.split_settings.columns:
            raise DataError(f"arrays have no column {self.split_settings.columns[0]} to split by; use ratios or folds")
        x, y = DiskArray(path), DiskArray(labels)
        if len(x) != len(y):
            raise DataError(f"{path} has {len(x):,} rows and {labels} {len(y):,}; they are to be of the same rows")
        if len(x.shape) not in MODALITIES:
            raise DataError(f"{path} is an array of {len(x.shape)} dimensions; rows are (F,), (C, T) or (C, H, W)")
        self.modality = MODALITIES[len(x.shape)]
        self.input_shape = self.normalized_shape(tuple(x.shape[1:]))
        split = HashSplit(len(x), self.split_settings)
        y_digest = y.digest(partial(_check_finite, labels, "targets", split))
        target = _learn_targets(y, labels, task)
        self.task, self.num_outputs, self.class_names = target.task, target.num_outputs, tuple(target.class_names)
        self.notes = (target.note,) if target.note else ()
        x_digest = x.digest(partial(_check_finite, path, "values", split))
        y.convert = target.encode_numbers
        self.take({"x": x, "y": y}, split, hashlib.sha256(f"{x_digest}{y_digest}".encode()).hexdigest())

    @override
    def finish(self, rows: Batch) -> Batch:
        assert self.statistics is not None
        return {**rows, "x": self.statistics(floating(rows["x"]))}


def _check_finite(path: str, noun: str, split: HashSplit, piece: Tensor, start: int) -> None:
    """Raises ``DataError`` for a value that is not finite in float32, among rows from ``start`` on."""
    if not piece.is_floating_point():
        return
    bad = (~piece.float().isfinite()).view(len(piece), -1).any(dim=1)
    if bad.any():
        row = int(bad.nonzero()[0])
        reason = f"{noun} beyond float32" if piece[row].isfinite().all() else f"NaN or infinite {noun}"
        part = PARTS[int(split.indices(start + row, start + row + 1))]
        raise DataError(
            f"{path} has {reason} in {part} rows, the first in row {start + row}; correct them or leave such rows out"
        )


def _learn_targets(y: DiskArray, path: str, task: TaskName | None) -> TargetEncoding:
    """Returns the encoding of targets on disk: whole numbers (N,) are class indices, others as in a table."""
    if len(y.shape) > 2:
        raise DataError(f"{path} is an array of {len(y.shape)} dimensions; targets are (N,), (N, L) or (N, R)")
    if task is None and not y.dtype.is_floating_point:
        ends = torch.tensor([[float(piece.min()), float(piece.max())] for piece in y.pieces(PIECE_ROWS)])
        low, high = float(ends.min()), float(ends.max())
        if len(y.shape) == 2 and (low < 0 or high > 1):
            raise DataError(f"{path} has labels from {low:g} to {high:g}, and they are 0 and 1")
        if len(y.shape) == 1:
            if low < 0 or not 0 < high < MOST_CLASSES:
                raise DataError(f"{path} has whole numbers from {low:g} to {high:g}, and class indices count from 0")
            classes = list(range(int(high) + 1))
            outputs = 1 if len(classes) == 2 else len(classes)
            return TargetEncoding(class_task(len(classes)), outputs, tuple(map(str, classes)), classes, ())
    return learn_target_encoding(_frames(y), task)


def _frames(y: DiskArray) -> Iterator[polars.DataFrame]:
    for piece in y.pieces(PIECE_ROWS):
        numbers = (piece.float() if piece.dtype == torch.float16 else piece).view(len(piece), -1).numpy()
        yield polars.DataFrame(numbers, schema=[str(index) for index in range(numbers.shape[1])], orient="row")
