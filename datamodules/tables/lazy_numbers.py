"""Numeric columns that stay as they are in the file, and become float64 only where they are looked at."""

from collections.abc import Callable, Sequence

import numpy
import polars
import torch
from torch import Tensor

CELLS = 2**18
"""So many numbers are taken at a time, small enough that what is made of them stays in a processor's cache."""


class Numbers:
    """Columns (N, F) that give float64 tensors, NaN where missing, to an index as a tensor has it.

    They share the memory of the frame that they come from, so that a float32 column takes 4 bytes a row.

    Args:
        columns: Of numbers only, with different names, null where missing.
        rows: N, which no column at all would not tell.
    """

    def __init__(self, columns: Sequence[polars.Series], rows: int) -> None:
        self.frame = polars.DataFrame(list(columns))
        self.shape = (rows, len(columns))
        self.dtype = torch.float64

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Tensor | tuple[slice | Tensor, slice]) -> Tensor:
        """Some rows, by a slice or their numbers (n,); of them all columns, or a slice of these."""
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
    # Rows near each other are mostly in one chunk of the frame, and one chunk is picked from fast.
    low, high = int(rows.min()), int(rows.max())
    return frame[low : high + 1][(rows - low).numpy().astype(numpy.uint32)]


def in_pieces(take: Callable[[Tensor], Tensor], rows: Tensor, width: int) -> Tensor:
    """What ``take`` makes of rows of so many numbers, put together without a second copy of it.

    Args:
        take: Makes (n, ...) of the numbers of n rows.
        rows: Row numbers (N,).
        width: Numbers of a row.
    """
    size = max(1, CELLS // max(1, width))
    if len(rows) <= size:
        return take(rows)
    first = take(rows[:size])
    whole = first.new_empty(len(rows), *first.shape[1:])
    whole[:size] = first
    for start in range(size, len(rows), size):
        whole[start : start + size] = take(rows[start : start + size])
    return whole
