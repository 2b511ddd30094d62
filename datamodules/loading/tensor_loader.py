"""Batches sliced out of tensors in memory.

Rows are picked by ``index_select``, which copies each as a whole: 42 microseconds for 1,024 rows of 64 float32, where
``column[rows]``, which asks for every element's place, takes 220 (torch 2.13, one core of an AMD EPYC).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch, Loader, Transform
from datamodules.loading.epoch_order import balanced_order, generator

WINDOW_BYTES = 1 << 22
"""About so many bytes of coming batches are picked out of the rows at once; each batch is then a slice of them."""


class Window(NamedTuple):
    """Rows of some batches that follow each other, and their places in the epoch's order."""

    rows: Batch
    places: range

    def take(self, places: slice) -> Batch:
        """One of the batches."""
        first = (places.start - self.places.start) // self.places.step
        count = len(range(places.start, places.stop, places.step))
        return {name: column.narrow(0, first, count) for name, column in self.rows.items()}


class TensorLoader(Loader):
    """Batches sliced out of tensors in memory.

    Args:
        tensors: Columns of equal length, rows first; a batch is a dictionary of the same keys. Where there are
            ``lengths``, ``x`` has in its last dimension only so many steps as the longest row of the batch has, over
            all processes.
        batch_size: As of every ``Loader``, and so is what follows.
        shuffle: Whether to train on it.
        seed: Of the order.
        rank: Which process this is.
        world_size: Number of processes.
        balance: Class of each row (N,): an epoch then draws every class equally often, see ``balanced_order``.
        transform: What is done to each batch.
        accumulate: Pieces of a batch.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        balance: Tensor | None = None,
        transform: Transform | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, rank, world_size, transform, accumulate)
        self.tensors = tensors
        self.balance = balance

    @property
    def num_rows(self) -> int:
        """Rows of all batches together."""
        return len(next(iter(self.tensors.values())))

    def order(self) -> Tensor:
        """Row positions of this epoch, in order."""
        if not self.shuffle:
            return torch.arange(self.num_rows)
        if self.balance is not None:
            return balanced_order(self.balance, self.seed, self.epoch)
        return torch.randperm(self.num_rows, generator=generator(self.seed, self.epoch))

    def begin(self) -> Callable[[slice], Batch]:
        """What gives the rows at places of this epoch's order."""
        numbers = self.order()
        order, window = numbers.to(next(iter(self.tensors.values())).device), Window({}, range(0))
        # A device would have to be waited for, to say how long the rows of each batch are.
        lengths = self.tensors["lengths"].cpu()[numbers] if "lengths" in self.tensors else None
        row_bytes = sum(column[:1].nbytes for column in self.tensors.values())
        ahead = max(1, WINDOW_BYTES // max(1, self.batch_size * row_bytes)) * self.batch_size

        def take(places: slice) -> Batch:
            nonlocal window
            if lengths is not None:  # each batch has a length of its own
                steps = self._longest(lengths[places.start - self.rank : places.stop])
                rows = order[places]
                return {
                    name: (column[..., :steps] if name == "x" else column).index_select(0, rows)
                    for name, column in self.tensors.items()
                }
            skewed = (places.start - window.places.start) % self.world_size  # other rows are this process's now
            if places.stop > window.places.stop or skewed:
                mine = slice(places.start, min(places.start - self.rank + ahead, self.num_rows), self.world_size)
                rows = order[mine]
                picked = {name: column.index_select(0, rows) for name, column in self.tensors.items()}
                window = Window(picked, range(places.start, mine.stop, self.world_size))
            return window.take(places)

        return take

    def _longest(self, lengths: Tensor) -> int:
        """Steps of the longest of some rows that are padded; more of them are not worth their time."""
        return int(lengths.max())
