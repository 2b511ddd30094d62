"""Gathers small tensors of all processes of one computer through shared memory."""

import fcntl
import os
import platform
import time
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from secrets import token_hex
from tempfile import NamedTemporaryFile
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, distributed
from torch.distributed import default_pg_timeout

from lit_models.cpu.switch import plain

FOLDER = Path("/dev/shm")  # file system in memory on Linux
MAX_BYTES = 1 << 16  # largest message; larger ones use the process group
LINE = 8  # integers of eight bytes in a cache line: each process counts in a line of its own

SPINS, PATIENCE, PERIOD = 2_000, 0.02, 0.5
"""Polls of a counter without a pause; seconds of polls that yield the processor, before polls that sleep; and seconds
between two checks that the awaited process is alive."""


class Exchange:
    """Gathers as ``torch.distributed.all_gather`` does, between processes of one computer through shared memory.

    A message of the process group wakes four threads one after another. That takes some tenths of a millisecond, or
    milliseconds on a virtual machine that wakes them late, and batch norm sends two messages per layer and step. Here a
    process writes its message into its slot, increments its counter, and polls the others' counters. Double-buffered: a
    rank publishes a message only after every rank has read the previous one.

    This relies on the order of stores, which x86 processors keep. On other processors, on systems other than Linux,
    between computers, and with ``EVENHAND_PLAIN=1`` the process group gathers. A process that has ended, or sends
    nothing for ``limit`` seconds, raises ``RuntimeError``.
    """

    def __init__(self, limit: float = default_pg_timeout.total_seconds()) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.limit = limit
        self.shared = self._open()
        self._count = 0

    def gather(self, message: Tensor) -> Tensor:
        """Gathers a message (...) of one shape and dtype from every process: (processes, ...)."""
        if not self.shared or message.nbytes > MAX_BYTES or message.device.type != "cpu":
            messages = [torch.empty_like(message) for _ in range(self.size)]
            distributed.all_gather(messages, message)
            return torch.stack(messages)
        self._count += 1
        slots = self._slots[self._count % 2, :, : message.nbytes]
        slots[self.rank] = message.detach().contiguous().view(-1).view(torch.uint8)
        self._counts[self.rank * LINE] = self._count
        for rank in range(self.size):
            self._wait(rank)
        return slots.clone().view(message.dtype).view(self.size, *message.shape)

    def _open(self) -> bool:
        """Maps one file into all processes; returns True if all of them could."""
        able, name, secret = usable(), "", token_hex()
        numbers = self.size * LINE * 8
        if self.rank == 0 and able:
            with suppress(OSError), NamedTemporaryFile(dir=FOLDER, prefix="evenhand-", delete=False) as file:
                name = file.name
                file.write(bytes(numbers + 2 * self.size * MAX_BYTES) + secret.encode())
        try:
            file_of_rank_0 = [name, secret]
            distributed.broadcast_object_list(file_of_rank_0)
            opened = able and self._map(Path(file_of_rank_0[0]), file_of_rank_0[1], numbers)
            all_opened = [False] * self.size
            distributed.all_gather_object(all_opened, opened)
        finally:
            if name:
                Path(name).unlink()  # the mapping stays until the last process ends
        return all(all_opened)

    def _map(self, path: Path, secret: str, numbers: int) -> bool:
        try:
            self._file = path.open("r+b", buffering=0)
            memory = mmap(self._file.fileno(), 0)
            if memory[-len(secret) :] != secret.encode():  # a file of that name on another computer
                return False
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self.rank)  # until this process ends
        except (OSError, ValueError):
            return False
        self._counts = memoryview(memory)[:numbers].cast("q")
        with torch.inference_mode(False):  # later messages may be sent outside of it
            whole = torch.frombuffer(memory, dtype=torch.uint8, count=2 * self.size * MAX_BYTES, offset=numbers)
            self._slots = whole.view(2, self.size, MAX_BYTES)
        return True

    def _wait(self, rank: int) -> None:
        """Waits until that process has sent as many messages as this one."""
        index = rank * LINE
        for _ in range(SPINS):
            if self._counts[index] >= self._count:
                return
        began = checked = time.monotonic()
        while self._counts[index] < self._count:
            now = time.monotonic()
            if now - began < PATIENCE:
                os.sched_yield()
                continue
            if now - checked > PERIOD:
                self._check(rank, now - began)
                checked = now
            time.sleep(2e-4)

    def _check(self, rank: int, seconds: float) -> None:
        who = f"process {rank} of {self.size}"
        if seconds > self.limit:
            raise RuntimeError(f"{who} has sent nothing for {seconds:.0f} s, for which this one waited")
        with suppress(OSError):  # a living process holds the lock on its byte
            fcntl.lockf(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, rank)
            if self._counts[rank * LINE] < self._count:  # it may have ended after its message
                raise RuntimeError(f"{who} has ended while this one waited for its message")


def usable() -> bool:
    """Returns True if this computer keeps the order of stores and has a file system in memory."""
    return not plain() and FOLDER.is_dir() and platform.machine() in ("x86_64", "AMD64") and hasattr(os, "sched_yield")


_opened: WeakKeyDictionary[distributed.ProcessGroup, Exchange] = WeakKeyDictionary()


def exchange() -> Exchange:
    """Returns the exchange of the current process group; all processes open it together at its first use."""
    group = distributed.group.WORLD
    assert group is not None
    if group not in _opened:
        _opened[group] = Exchange()
    return _opened[group]
