"""A loader over rows on disk: blocks in random order, rows shuffled within a buffer of many blocks."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from datamodules.loading.base_loader import Batch, Loader, Transform
from datamodules.loading.epoch_order import generator


class Blocks(Protocol):
    """Rows on disk that are read a block of consecutive rows at a time."""

    @property
    def counts(self) -> Tensor:
        """Rows of each block, int64."""
        ...

    def read(self, block: int) -> Batch:
        """A block's rows, as they are on disk."""
        ...

    def finish(self, batch: Batch) -> Batch:
        """What a model is given of rows as they are on disk."""
        ...


class BlockLoader(Loader):
    """Batches of rows on disk, of which a buffer of so many is in memory.

    Every epoch goes through the blocks in a new random order and through each buffer's rows in a new random order, both
    functions of ``(seed, epoch)``. With one buffer for all rows that is a full shuffle. With smaller ones two rows
    of a batch are of one block with probability 1 / (blocks of a buffer), and a class that stands in few blocks, as in
    a sorted file, is spread over the epoch's buffers as its blocks are: with B blocks a buffer the share p of a class
    differs from buffer to buffer by about sqrt(p (1 - p) / B).

    A process reads every buffer and takes its rows of it. To go on inside an epoch reads one buffer again.

    Args:
        blocks: The rows.
        buffer_rows: Rows of a buffer; as many blocks as reach it, at least one.
        batch_size: As of every ``Loader``, and so is what follows.
        shuffle: Whether to train on it; else the rows come in the order of the disk.
        seed: Of the order.
        rank: Which process this is.
        world_size: Number of processes.
        transform: What is done to each batch.
        accumulate: Pieces of a batch.
    """

    def __init__(
        self,
        blocks: Blocks,
        buffer_rows: int,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        transform: Transform | None = None,
        accumulate: int = 1,
    ) -> None:
        super().__init__(batch_size, shuffle, seed, rank, world_size, transform, accumulate)
        self.blocks = blocks
        self.buffer_rows = buffer_rows
        self._num_rows = int(blocks.counts.sum())

    @property
    def num_rows(self) -> int:
        """Rows of all batches together."""
        return self._num_rows

    def begin(self) -> Callable[[slice], Batch]:
        """What gives the rows at places of this epoch's order."""
        return _Buffers(self).take


class _Buffers:
    """One epoch's buffers, one of them in memory, and of the one before it what a batch still needs."""

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
        self._number, self._first, self._rows, self._order = -1, 0, Batch(), torch.empty(0, dtype=torch.int64)

    def take(self, places: slice) -> Batch:
        """Rows at places of the order."""
        wanted = torch.arange(places.start, max(places.start, places.stop), places.step)
        if not len(wanted):
            self._load(max(0, self._number))
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
        self._rows = {}  # let go of before the next is read
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
        drawn = generator(self.loader.seed, self.loader.epoch, -1 - number)  # those above 0 are of transforms
        self._order = torch.randperm(size, generator=drawn) if self.loader.shuffle else torch.arange(size)
