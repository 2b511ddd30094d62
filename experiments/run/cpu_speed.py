"""What glibc does with memory that was freed: back to the system while rows are read, kept while a model runs.

By itself it changes its mind as it goes (``man mallopt``). It then keeps a fifth of a table's size of what reading
left, and gives the memory of a large network's step back at its end, to ask for it again, page by page, in the next.
"""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler

NOTHING: AbstractContextManager[Any] = nullcontext()


class Unprofiled(PassThroughProfiler):
    """Lightning enters seventy contexts a step, which are generators even where nobody profiles; these do nothing."""

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        """A context that does nothing."""
        return NOTHING


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of ``mallopt``: memory goes from so many free bytes on at the heap's end, and from so many in one piece."""

CHOSEN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
"""Variables by which a person has decided it."""


def give_back() -> None:
    """From now on a piece of a mebibyte or more is the system's again as soon as it is free."""
    _set(TRIM_THRESHOLD, 2**17)
    _set(MMAP_THRESHOLD, 2**20)


def keep() -> None:
    """From now on what is freed is the process's own, for the next step."""
    _set(MMAP_THRESHOLD, 2**25)  # the most that glibc takes
    _set(TRIM_THRESHOLD, 2**31 - 1)


class Heap(Callback):
    """Has memory kept from where the rows are prepared and a model begins to run."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Its loaders are there."""
        keep()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise, where nothing is trained."""
        keep()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise."""
        keep()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise."""
        keep()


def _set(name: int, value: int) -> None:
    if any(one in os.environ for one in CHOSEN):
        return
    try:
        is_glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # another C library, or none, as on Windows
        return
    if is_glibc:
        _mallopt(name, value)


def _mallopt(name: int, value: int) -> None:
    ctypes.CDLL(None).mallopt(name, value)
