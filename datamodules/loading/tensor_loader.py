"""Loader of batches sliced out of tensors in memory.

Rows are selected by ``index_select``, which copies each as a whole: 42 microseconds for 1,024 rows of 64 float32, where
``column[rows]``, which computes every element's address, takes 220 (torch 2.13, one core of an AMD EPYC).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch, Loader
from datamodules.loading.epoch_order import balanced_order, generator

WINDOW_BYTES = 1 << 22
"""About so many bytes of coming batches are selected at once; each batch is then a slice of them."""


class Window(NamedTuple):
    """Rows of consecutive batches, and their positions in the epoch's order."""

    rows: Batch
    positions: range

    def take(self, positions: slice) -> Batch:
        """Returns one of the batches."""
        first = (positions.start - self.positions.start) // self.positions.step
        count = len(range(positions.start, positions.stop, positions.step))
        return {name: column.narrow(0, first, count) for name, column in self.rows.items()}


class TensorLoader(Loader):
    """Batches sliced out of tensors in memory, columns of equal length with rows first, by name.

    With ``lengths``, the last dimension of ``x`` is that of the longest row of the batch, over all processes. With
    ``balance``, the class of each row (N,), an epoch draws every class equally often, see ``balanced_order``.
    """

    def __init__(
        self, tensors: dict[str, Tensor], batch_size: int, balance: Tensor | None = None, **kwargs: Any
    ) -> None:
        super().__init__(batch_size, **kwargs)
        self.tensors, self.balance = tensors, balance
        self.num_rows = len(next(iter(tensors.values())))

    def order(self) -> Tensor:
        """Returns the row positions of this epoch, in order."""
        if not self.shuffle:
            return torch.arange(self.num_rows)
        if self.balance is not None:
            return balanced_order(self.balance, self.seed, self.epoch)
        return torch.randperm(self.num_rows, generator=generator(self.seed, self.epoch))

    def begin(self) -> Callable[[slice], Batch]:
        """Returns a function from positions in this epoch's order to rows."""
        numbers = self.order()
        order, window = numbers.to(next(iter(self.tensors.values())).device), Window({}, range(0))
        # On the CPU: reading each batch's longest length from a device would synchronize with it.
        lengths = self.tensors["lengths"].cpu()[numbers] if "lengths" in self.tensors else None
        row_bytes = sum(column[:1].nbytes for column in self.tensors.values())
        ahead = max(1, WINDOW_BYTES // max(1, self.batch_size * row_bytes)) * self.batch_size

        def take(positions: slice) -> Batch:
            nonlocal window
            if lengths is not None:  # batches differ in length
                steps = self._longest(lengths[positions.start - self.rank : positions.stop])
                rows = order[positions]
                return {
                    name: (column[..., :steps] if name == "x" else column).index_select(0, rows)
                    for name, column in self.tensors.items()
                }
            skewed = (positions.start - window.positions.start) % self.world_size  # of another rank's rows
            if positions.stop > window.positions.stop or skewed:
                own = slice(positions.start, min(positions.start - self.rank + ahead, self.num_rows), self.world_size)
                rows = order[own]
                picked = {name: column.index_select(0, rows) for name, column in self.tensors.items()}
                window = Window(picked, range(positions.start, own.stop, self.world_size))
            return window.take(positions)

        return take

    def _longest(self, lengths: Tensor) -> int:
        return int(lengths.max())
