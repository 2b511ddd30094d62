"""CPU speed: how glibc keeps freed memory, and no profiler; ``EVENHAND_PLAIN=1`` turns both off.

glibc adapts its thresholds as it runs (``man mallopt``). It then keeps a fifth of a table's size after reading, and
returns the memory of a large network's step at its end, to fault it in again, page by page, in the next one. Here freed
memory is returned to the system while rows are read, and kept while a model runs.
"""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler, Profiler
from typing_extensions import override

from lit_models.cpu.switch import plain

NO_CONTEXT: AbstractContextManager[Any] = nullcontext()

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt``: free bytes at the heap's end, and bytes of one piece, from which memory is returned."""

USER_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
"""Environment variables by which the user has set the thresholds."""


class NoProfiler(PassThroughProfiler):
    """Profiler without generators: Lightning enters seventy contexts a step, which cost time even unprofiled."""

    @override
    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        return NO_CONTEXT


class KeepMemory(Callback):
    """Keeps freed memory from the end of data preparation on."""

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        keep_freed_memory()

    on_validation_start = on_test_start = on_predict_start = on_train_start


def speed_callbacks() -> list[Callback]:
    """Returns the callbacks that only make a CPU faster."""
    return [] if plain() else [KeepMemory()]


def speed_profiler() -> Profiler | None:
    """Returns the profiler of a run that is not profiled; None for Lightning's."""
    return None if plain() else NoProfiler()


def return_freed_memory() -> None:
    """Returns freed pieces of a mebibyte or more to the system at once, from now on."""
    _set_thresholds((TRIM_THRESHOLD, 2**17), (MMAP_THRESHOLD, 2**20))


def keep_freed_memory() -> None:
    """Keeps freed memory in the process for the next step, from now on."""
    _set_thresholds((MMAP_THRESHOLD, 2**25), (TRIM_THRESHOLD, 2**31 - 1))  # the largest that glibc takes


def _set_thresholds(*thresholds: tuple[int, int]) -> None:
    if plain() or any(name in os.environ for name in USER_VARIABLES):
        return
    try:
        is_glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # another C library, or none, as on Windows
        return
    for name, value in thresholds if is_glibc else ():
        _mallopt(name, value)


def _mallopt(name: int, value: int) -> None:
    ctypes.CDLL(None).mallopt(name, value)
