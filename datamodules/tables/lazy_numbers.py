"""Numeric columns that keep their data type in memory, and become float64 where they are read."""

from collections.abc import Callable, Sequence

import numpy
import polars
import torch
from torch import Tensor

CELLS = 2**18  # numbers that are converted at a time, few enough for a processor's cache


class Numbers:
    """Columns (N, F) that are indexed like a tensor and return float64 tensors, NaN where missing.

    They share the memory of their frame, so that a float32 column takes 4 bytes a row.
    """

    def __init__(self, columns: Sequence[polars.Series], rows: int) -> None:
        self.frame = polars.DataFrame(list(columns))
        self.shape = (rows, len(columns))
        self.dtype = torch.float64

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Tensor | tuple[slice | Tensor, slice]) -> Tensor:
        """Returns rows, by a slice or their ids (n,), of all columns or a slice of them."""
        rows, columns = index if isinstance(index, tuple) else (index, slice(None))
        frame = self.frame.select(self.frame.columns[columns])
        count = len(range(*rows.indices(len(self)))) if isinstance(rows, slice) else len(rows)
        if not count or not frame.width:
            return torch.empty(count, frame.width, dtype=torch.float64)
        numbers = _picked(frame, rows).select(polars.all().cast(polars.Float64).fill_null(float("nan")))
        return torch.from_numpy(numbers.to_numpy(order="c", writable=True))


def _picked(frame: polars.DataFrame, rows: slice | Tensor) -> polars.DataFrame:
    if isinstance(rows, slice):
        return frame[rows]
    # Neighbouring rows are mostly in one chunk of the frame, and selection from one chunk is fast.
    low, high = int(rows.min()), int(rows.max())
    return frame[low : high + 1][(rows - low).numpy().astype(numpy.uint32)]


def in_pieces(take: Callable[[Tensor], Tensor], rows: Tensor, width: int) -> Tensor:
    """Returns ``take(rows)`` (N, ...) of row ids (N,), computed in pieces of ``width`` numbers a row without a copy."""
    size = max(1, CELLS // max(1, width))
    if len(rows) <= size:
        return take(rows)
    first = take(rows[:size])
    whole = first.new_empty(len(rows), *first.shape[1:])
    whole[:size] = first
    for start in range(size, len(rows), size):
        whole[start : start + size] = take(rows[start : start + size])
    return whole
