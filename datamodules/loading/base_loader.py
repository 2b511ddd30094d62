"""What every loader is: whole batches of an epoch's order, over processes, with a place to go on from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from datamodules.loading.device_placement import pinned
from datamodules.loading.epoch_order import generator

Batch = dict[str, Tensor]


class Batches(Protocol):
    """A loader as the data modules give it: sized, iterable, and able to go on inside an epoch."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Batch]: ...

    def state_dict(self) -> dict[str, Any]:
        """Where it is."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken."""
        ...


class Transform(Protocol):
    """What is done to a batch after it was sliced, such as augmentation.

    One that has a ``device`` makes what it adds there, and is given rows that are there; others work on the CPU.
    """

    draws: int
    """How many random numbers it takes a row; 0 for none."""

    def __call__(self, batch: Batch, uniform: Tensor) -> Batch:
        """Change a batch of n rows by random numbers (n, draws) in [0, 1).

        They are a function of the seed, the epoch and the row's place in the epoch, so that a resumed run and one on
        more devices draw the same.
        """
        ...


class Loader(ABC):
    """Batches of consecutive places in an epoch's order, never collated row by row.

    The order of an epoch is a function of ``(seed, epoch)`` and of nothing else, and ``state_dict`` says how many of
    its batches were handed out: Lightning saves that, and a resumed run goes on with the very next batch.

    Args:
        batch_size: Rows of a batch over all processes; the last one has what is left.
        shuffle: Whether every epoch has an order of its own, to train on. A last batch that would give a process less
            than two rows is then left out, since a batch norm cannot learn from one; other rows are left out in every
            epoch.
        seed: Of the order.
        rank: Which of the processes this is. The rows of a batch do not depend on how many there are: each process
            takes every ``world_size``-th of them.
        world_size: Number of processes.
        transform: What is done to each batch.
        accumulate: To train on, each batch is handed out in so many pieces, whose gradients the Trainer accumulates.
            A piece of a last batch that does not divide evenly has a ``share``: what its mean loss is multiplied with,
            so that the mean over pieces and processes is that over the batch's rows.
    """

    batch_sampler = None
    """Lightning asks for it wherever there is a ``sampler``."""

    def __init__(
        self,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        transform: Transform | None = None,
        accumulate: int = 1,
    ) -> None:
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.transform = transform
        self.accumulate = accumulate if shuffle else 1
        self.device = torch.device("cpu")
        """Where batches are going; the loader makes the copy one that need not be waited for."""
        self.epoch = 0
        self._consumed = 0
        self._resume_at = 0

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Rows of all batches together."""

    @abstractmethod
    def begin(self) -> Callable[[slice], Batch]:
        """What gives the rows at places of this epoch's order; places are asked for in rising order."""

    @property
    def sampler(self) -> "Loader":
        """Itself: Lightning calls ``set_epoch`` on what it finds under this name."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        if (
            epoch != self.epoch
        ):  # a place in one epoch, which limit_train_batches may have cut short, is none in another
            self.epoch, self._consumed, self._resume_at = epoch, 0, 0

    def __len__(self) -> int:
        """Pieces of batches of a pass, the same number in every process."""
        batches, rest = divmod(self.num_rows, self.batch_size)
        return batches * self.accumulate + self._pieces_of(rest)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of this epoch, from where a restored state left off."""
        start, self._resume_at = self._resume_at, 0
        take = self.begin()
        for index in range(start, len(self)):
            number, piece = divmod(index, self.accumulate)
            first = number * self.batch_size
            rows = min(self.batch_size, self.num_rows - first)
            pieces = self._pieces_of(rows)
            # Every piece begins with a row of the first process, so that a process has evenly spaced rows of an epoch.
            ends = [rows // self.world_size * end // pieces * self.world_size for end in (piece, piece + 1)]
            last = rows if piece + 1 == pieces else ends[1]
            here = slice(ends[0] + self.rank, last, self.world_size)
            self._consumed = index + 1
            batch = take(slice(first + here.start, first + here.stop, self.world_size))
            if self.transform is not None:
                batch = self._transformed(batch, number, here)
            parts = self.world_size * self.accumulate
            if self.shuffle and (mine := len(batch["row"])) * parts != rows:
                batch = {**batch, "share": torch.tensor(mine * parts / rows)}
            yield pinned(batch, self.device)

    def state_dict(self) -> dict[str, Any]:
        """The seed, the epoch, and how many pieces of its batches were handed out, of how many to a batch."""
        consumed = self._consumed % max(1, len(self))
        return {"seed": self.seed, "epoch": self.epoch, "consumed": consumed, "accumulate": self.accumulate}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state_dict`` was taken, with the batch that was begun where the pieces are others now."""
        self.seed, self.epoch, self._consumed = state["seed"], state["epoch"], state["consumed"]
        if (before := state.get("accumulate", 1)) != self.accumulate:
            self._consumed = self._consumed // before * self.accumulate
        self._resume_at = self._consumed

    def _pieces_of(self, rows: int) -> int:
        """Into how many pieces a batch of so many rows is cut; 0 where it is left out."""
        if not self.shuffle:
            return int(rows > 0)
        if rows == self.batch_size:
            return self.accumulate
        each = rows // self.world_size
        return max(1, min(self.accumulate, each // 2)) if each > (self.num_rows > self.batch_size) else 0

    def _transformed(self, batch: Batch, number: int, here: slice) -> Batch:
        assert self.transform is not None
        draws = generator(self.seed, self.epoch, 1 + number)
        uniform = torch.rand(self.batch_size, self.transform.draws, generator=draws)
        return self.transform(batch, uniform[here])
