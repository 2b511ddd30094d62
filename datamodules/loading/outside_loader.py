"""Another package's loader, whose batches are a function of the training seed and the epoch."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch

from datamodules.loading.epoch_order import generator

SAMPLERS = ("sampler", "batch_sampler")

State = tuple[Any, Any, Any]
"""States of the random numbers of torch on a CPU, numpy and python."""


def random_state(seed: int) -> State:
    """Returns the states after seeding with a whole number of up to 64 bits."""
    return (
        generator(seed).get_state(),
        numpy.random.RandomState(seed % 2**32).get_state(),
        random.Random(seed).getstate(),
    )


@contextmanager
def drawing_from(states: list[State]) -> Iterator[None]:
    """Context in which random numbers come from the last of the states, which it replaces; the usual ones stay."""
    before = _current()
    _set(states.pop())
    try:
        yield
    finally:
        states.append(_current())
        _set(before)


def _current() -> State:
    return torch.get_rng_state(), numpy.random.get_state(), random.getstate()


def _set(state: State) -> None:
    torch.set_rng_state(state[0])
    numpy.random.set_state(state[1])
    random.setstate(state[2])


class OutsideLoader:
    """Batches of any loader with a length, resumable at any batch.

    Its order, its random transforms and the seeds of its workers are drawn from random numbers of their own, which are
    a function of seed and epoch. A resumed epoch reads the batches before its position again, and leaves them out.

    Args:
        loader: The loader.
        read: Converts each batch.
        seed: Of the training.
    """

    batch_sampler = None  # Lightning reads it from every loader with a ``sampler``

    def __init__(self, loader: Any, read: Callable[[Any], Any] = lambda batch: batch, seed: int = 0) -> None:
        self.loader, self.read, self.seed = loader, read, seed
        self.epoch = self._consumed = self._resume_at = 0

    @property
    def sampler(self) -> "OutsideLoader":
        """Itself: Lightning calls ``set_epoch`` on the attribute of this name."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        if epoch != self.epoch:
            self.epoch, self._consumed, self._resume_at = epoch, 0, 0

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of this epoch, from the position of a restored state."""
        start, self._resume_at = self._resume_at, 0
        seed = generator(self.seed, self.epoch).initial_seed()
        states = [random_state(seed)]
        with drawing_from(states):
            for owner in (self.loader, *(getattr(self.loader, name, None) for name in SAMPLERS)):
                if isinstance(own := getattr(owner, "generator", None), torch.Generator):
                    own.manual_seed(seed)
                if hasattr(owner, "set_epoch"):
                    owner.set_epoch(self.epoch)
            batches = iter(self.loader)
        for index in range(len(self)):
            with drawing_from(states):
                batch = next(batches, None)
            if batch is None:
                return
            if index >= start:
                self._consumed = index + 1
                yield self.read(batch)

    def state_dict(self) -> dict[str, Any]:
        """Returns seed, epoch and yielded batches."""
        return {"seed": self.seed, "epoch": self.epoch, "consumed": self._consumed % max(1, len(self))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a saved position."""
        self.seed, self.epoch, self._consumed = state["seed"], state["epoch"], state["consumed"]
        self._resume_at = self._consumed
