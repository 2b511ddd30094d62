"""Base class of loaders: whole batches of an epoch's order, divided over processes, resumable at any batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from datamodules.loading.device_placement import pinned
from datamodules.loading.epoch_order import generator

Batch = dict[str, Tensor]


class Transform(Protocol):
    """Protocol of a transform of a sliced batch, such as augmentation.

    A transform with a ``device`` takes and returns tensors on that device; others work on the CPU.
    """

    draws: int  # random numbers of a row; 0 for none

    def __call__(self, batch: Batch, uniform: Tensor) -> Batch:
        """Transforms n rows with random numbers (n, draws) in [0, 1), functions of seed, epoch and position in it."""


@dataclass(eq=False)
class Loader(ABC):
    """Batches of consecutive positions in an epoch's order, never collated row by row.

    The order of an epoch is a function of ``(seed, epoch)`` alone. ``state_dict`` counts the batches that were yielded:
    Lightning saves it, and a resumed run continues with the very next batch.

    A process takes every ``world_size``-th row of a batch, so that a batch's rows do not depend on the number of
    processes. A last train batch with less than two rows for a process is left out, since a batch norm cannot learn
    from one row; the rows left out differ between epochs. A piece of a last batch that does not divide evenly has a
    ``share``, the factor of its mean loss that makes the mean over pieces and processes that of the batch's rows.
    """

    batch_size: int  # rows of a batch over all processes; the last batch has the remaining rows
    shuffle: bool = False  # every epoch has an order of its own, for training
    seed: int = 0  # of the order
    rank: int = 0  # of this process
    world_size: int = 1
    transform: Transform | None = None  # of each batch
    accumulate: int = 1  # pieces of a train batch, whose gradients the Trainer accumulates
    num_rows: int = field(init=False)  # of all batches; a subclass sets it

    device = torch.device("cpu")  # batches are pinned to be copied to it
    epoch = 0
    _consumed = 0
    _resume_at = 0
    batch_sampler = None  # Lightning reads it from every loader with a ``sampler``

    def __post_init__(self) -> None:
        self.accumulate = self.accumulate if self.shuffle else 1

    @abstractmethod
    def begin(self) -> Callable[[slice], Batch]:
        """Returns a function from positions in this epoch's order, called in ascending order, to rows."""

    @property
    def sampler(self) -> "Loader":
        """Itself: Lightning calls ``set_epoch`` on the attribute of this name."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        if epoch != self.epoch:  # the epoch before may have ended early, by limit_train_batches
            self.epoch, self._consumed, self._resume_at = epoch, 0, 0

    def __len__(self) -> int:
        """Returns the pieces of batches of a pass, the same number in every process."""
        batches, rest = divmod(self.num_rows, self.batch_size)
        return batches * self.accumulate + self._pieces_of(rest)

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of this epoch, from the position of a restored state."""
        start, self._resume_at = self._resume_at, 0
        take = self.begin()
        for index in range(start, len(self)):
            number, piece = divmod(index, self.accumulate)
            first = number * self.batch_size
            rows = min(self.batch_size, self.num_rows - first)
            pieces = self._pieces_of(rows)
            # A piece begins with a row of the first process, so that a process has evenly spaced rows of an epoch.
            ends = [rows // self.world_size * end // pieces * self.world_size for end in (piece, piece + 1)]
            last = rows if piece + 1 == pieces else ends[1]
            own = slice(ends[0] + self.rank, last, self.world_size)
            self._consumed = index + 1
            batch = take(slice(first + own.start, first + own.stop, self.world_size))
            if self.transform is not None:
                draws = generator(self.seed, self.epoch, 1 + number)
                uniform = torch.rand(self.batch_size, self.transform.draws, generator=draws)
                batch = self.transform(batch, uniform[own])
            parts = self.world_size * self.accumulate
            if self.shuffle and (count := len(batch["row"])) * parts != rows:
                batch = {**batch, "share": torch.tensor(count * parts / rows)}
            yield pinned(batch, self.device)

    def state_dict(self) -> dict[str, Any]:
        """Returns seed, epoch, yielded pieces of batches, and pieces of a batch."""
        consumed = self._consumed % max(1, len(self))
        return {"seed": self.seed, "epoch": self.epoch, "consumed": consumed, "accumulate": self.accumulate}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a saved position; from the start of a batch if the number of pieces has changed."""
        self.seed, self.epoch, self._consumed = state["seed"], state["epoch"], state["consumed"]
        if (before := state.get("accumulate", 1)) != self.accumulate:
            self._consumed = self._consumed // before * self.accumulate
        self._resume_at = self._consumed

    def _pieces_of(self, rows: int) -> int:
        """Returns the number of pieces of a batch of so many rows; 0 if it is left out."""
        if not self.shuffle:
            return int(rows > 0)
        if rows == self.batch_size:
            return self.accumulate
        each = rows // self.world_size
        return max(1, min(self.accumulate, each // 2)) if each > (self.num_rows > self.batch_size) else 0
