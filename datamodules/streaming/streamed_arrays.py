"""A user's arrays that do not fit into memory."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.loading.base_loader import Batch
from datamodules.streaming.hash_split import HashSplit
from datamodules.streaming.npy_file import DiskArray
from datamodules.streaming.stream_data import StreamData
from datamodules.streaming.streaming_statistics import RunningStatistics, floating
from datamodules.types import Modality, TaskName

MODALITIES: dict[int, Modality] = {2: "table", 3: "series", 4: "image"}
"""Modality by the number of an array's dimensions."""

MOST_CLASSES = 10_000
"""Largest number of classes; larger whole numbers are no class indices."""


class StreamedArrays(StreamData):
    """Inputs and targets in two .npy files, read from the disk in training.

    Inputs are (N, F) for a table of numbers, (N, C, T) for series, (N, C, H, W) for images, of any number type. Targets
    are class indices from 0, (N,) whole numbers; labels, (N, L) whole numbers of 0 and 1; or values, (N,) or (N, R)
    floating-point numbers.

    Args:
        path: File of the inputs.
        labels: File of the targets.
        kwargs: Options of every stream, see ``StreamData``; arrays have no columns to split by.

    Raises:
        DataError: For files or options that cannot be used.
    """

    def __init__(self, path: str, labels: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.split_settings.columns:
            raise DataError(f"arrays have no column {self.split_settings.columns[0]} to split by; use ratios or folds")
        x, y = DiskArray(path), DiskArray(labels)
        if len(x) != len(y):
            raise DataError(f"{path} has {len(x):,} rows and {labels} {len(y):,}; they are to be of the same rows")
        if len(x.shape) not in MODALITIES:
            raise DataError(f"{path} is an array of {len(x.shape)} dimensions; rows are (F,), (C, T) or (C, H, W)")
        self.path = path
        self.modality, self.input_shape = MODALITIES[len(x.shape)], tuple(x.shape[1:])
        self.task, self.num_outputs = _target(y, labels)
        classes = 2 if self.task == "binary" else self.num_outputs
        self.class_names = () if self.task == "regression" else tuple(map(str, range(classes)))
        digest = hashlib.sha256(f"{x.digest()}{y.digest()}".encode()).hexdigest()
        self.take({"x": x, "y": y}, HashSplit(len(x), self.split_settings, None, None, False), digest)

    def encode(self, rows: Batch) -> Batch:
        """Returns a batch of the rows as they are; whole numbers as class indices or labels."""
        return {
            **rows,
            "x": floating(rows["x"]),
            "y": rows["y"].double() if self.task == "regression" else rows["y"].long(),
        }

    def set_statistics(self, learned: RunningStatistics) -> None:
        """Sets the statistics; raises ``DataError`` for missing and infinite numbers."""
        moments = learned.inputs
        if not (torch.equal(moments.count, torch.full_like(moments.count, learned.rows)) and _finite(moments.mean)):
            raise DataError(f"{self.path} has NaN or infinite values in train rows; fill them in")
        super().set_statistics(learned)


def _finite(values: Tensor) -> bool:
    return bool(values.isfinite().all())


def _target(y: DiskArray, path: str) -> tuple[TaskName, int]:
    """Infers the task and the network's number of outputs from targets on disk."""
    outputs = int(torch.tensor(y.shape[1:]).prod()) if len(y.shape) > 1 else 1
    if len(y.shape) > 2:
        raise DataError(f"{path} is an array of {len(y.shape)} dimensions; targets are (N,), (N, L) or (N, R)")
    low, high, finite = 0.0, 0.0, True
    for piece in y.pieces(1 << 16):
        finite = finite and _finite(piece)
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
    if not finite:
        raise DataError(f"{path} has NaN or infinite targets; leave those rows out")
    if y.dtype.is_floating_point:
        return "regression", outputs
    if len(y.shape) == 2:
        if low < 0 or high > 1:
            raise DataError(f"{path} has labels from {low:g} to {high:g}, and they are 0 and 1")
        return "multilabel", outputs
    if low < 0 or not 0 < high < MOST_CLASSES:
        raise DataError(f"{path} has whole numbers from {low:g} to {high:g}, and class indices count from 0")
    return ("binary", 1) if high == 1 else ("multiclass", int(high) + 1)
