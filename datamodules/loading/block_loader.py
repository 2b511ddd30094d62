"""Loader of rows on disk: blocks in random order, rows shuffled within a buffer of many blocks."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch, Loader
from datamodules.loading.epoch_order import generator


class Blocks(Protocol):
    """Protocol of rows on disk that are read a block of consecutive rows at a time."""

    @property
    def counts(self) -> Tensor:
        """Number of rows of each block, int64."""

    def read(self, block: int) -> Batch:
        """Returns a block's rows, as they are on disk."""

    def finish(self, batch: Batch) -> Batch:
        """Converts rows as they are on disk into the model's inputs."""


class BlockLoader(Loader):
    """Batches of rows on disk, of which one buffer is in memory: as many blocks as have ``buffer_rows``, at least one.

    Every epoch has a new random order of blocks and of each buffer's rows, both functions of ``(seed, epoch)``. One
    buffer for all rows is a full shuffle. With B blocks a buffer, two rows of a batch are of one block with probability
    1 / B, and in a sorted file the fraction p of a class differs from buffer to buffer by about sqrt(p (1 - p) / B).

    A process reads every buffer and takes its rows of it. Resuming within an epoch reads one buffer again.
    """

    def __init__(self, blocks: Blocks, buffer_rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = blocks
        self.buffer_rows = buffer_rows
        self.num_rows = int(blocks.counts.sum())

    def begin(self) -> Callable[[slice], Batch]:
        """Returns a function from positions in this epoch's order to rows."""
        return _Buffers(self).take


class _Buffers:
    """Buffers of one epoch, one of them in memory."""

    def __init__(self, loader: BlockLoader) -> None:
        self.loader = loader
        counts = loader.blocks.counts
        there = counts.nonzero().flatten()
        if loader.shuffle:
            there = there[torch.randperm(len(there), generator=generator(loader.seed, loader.epoch))]
        ends = counts[there].cumsum(0)
        # A buffer ends with the block that fills it.
        number = torch.div(ends - counts[there], max(1, loader.buffer_rows), rounding_mode="floor")
        _, sizes = number.unique_consecutive(return_counts=True)
        self.blocks = list(there.split(sizes.tolist()))
        self.ends: Tensor = ends[sizes.cumsum(0) - 1]
        self._number: int | None = None  # of the buffer in memory; it has these rows, in this order
        self._rows: Batch
        self._first: int
        self._order: Tensor

    def take(self, positions: slice) -> Batch:
        """Returns the rows at positions of the order."""
        wanted = torch.arange(positions.start, max(positions.start, positions.stop), positions.step)
        if not len(wanted):
            self._load(self._number or 0)
            return self.loader.blocks.finish({name: column[:0] for name, column in self._rows.items()})
        pieces = []
        number_of = torch.searchsorted(self.ends, wanted, right=True)
        for number in number_of.unique().tolist():
            self._load(number)
            rows = self._order[wanted[number_of == number] - self._first]
            pieces.append({name: column.index_select(0, rows) for name, column in self._rows.items()})
        return self.loader.blocks.finish({name: torch.cat([one[name] for one in pieces]) for name in pieces[0]})

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        self._rows = {}  # freed before the next is read
        blocks, counts = self.blocks[number].tolist(), self.loader.blocks.counts
        size, filled, rows = int(counts[self.blocks[number]].sum()), 0, Batch()
        for block in blocks:
            read = self.loader.blocks.read(block)
            for name, column in read.items():
                if name not in rows:
                    rows[name] = column.new_empty(size, *column.shape[1:])
                rows[name][filled : filled + len(column)] = column
            filled += len(read["row"])
        self._rows, self._number, self._first = rows, number, int(self.ends[number]) - size
        drawn = generator(self.loader.seed, self.loader.epoch, -1 - number)  # numbers above 0 are of transforms
        self._order = torch.randperm(size, generator=drawn) if self.loader.shuffle else torch.arange(size)
