"""Small tensors of all processes, by shared memory where all of them run on one computer."""

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

FOLDER = Path("/dev/shm")
"""A file system in memory, which Linux has."""

PLACE = 1 << 16
"""Bytes of a message at the most; larger ones go by the process group."""

LINE = 8
"""Numbers of eight bytes in a line of the processor's cache: each process counts in a line of its own."""

SPINS, PATIENCE, PERIOD = 2_000, 0.02, 0.5
"""Looks at a count without a pause; seconds of looks between which others may run, before naps; and seconds between two
looks at whether the process that is waited for is still there."""


class Exchange:
    """What ``torch.distributed.all_gather`` does, between processes of one computer through memory that they share.

    A message of the process group wakes four threads one after another, which takes some tenths of a millisecond, or
    milliseconds where a virtual machine wakes them late; batch norm sends two of them a layer and step. Here a process
    writes its message into its place, counts it, and looks at the others' counts until they have come as far. It has
    two places and takes turns: nobody counts one message further before all have read the one before.

    Stores of an x86 processor come in the order in which they were made, which is all that the count relies on; on
    others, on other systems than Linux, and between computers, the process group carries the messages.

    Args:
        limit: Seconds after which a process that does not send is given up, as the process group does.

    Raises:
        RuntimeError: Where a process that is waited for has ended, or does not send for so long.
    """

    def __init__(self, limit: float = default_pg_timeout.total_seconds()) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.limit = limit
        self.shared = self._open()
        self._count = 0

    def gather(self, message: Tensor) -> Tensor:
        """The message (...) of every process, all of one shape and type -> (processes, ...)."""
        if not self.shared or message.nbytes > PLACE or message.device.type != "cpu":
            parts = [torch.empty_like(message) for _ in range(self.size)]
            distributed.all_gather(parts, message)
            return torch.stack(parts)
        self._count += 1
        places = self._places[self._count % 2, :, : message.nbytes]
        places[self.rank] = message.detach().contiguous().view(-1).view(torch.uint8)
        self._counts[self.rank * LINE] = self._count
        for rank in range(self.size):
            self._wait(rank)
        return places.clone().view(message.dtype).view(self.size, *message.shape)

    def _open(self) -> bool:
        """Map one file into all processes; whether all of them could."""
        able, name, secret = usable(), "", token_hex()
        numbers = self.size * LINE * 8
        if self.rank == 0 and able:
            with suppress(OSError), NamedTemporaryFile(dir=FOLDER, prefix="evenhand-", delete=False) as file:
                name = file.name
                file.write(bytes(numbers + 2 * self.size * PLACE) + secret.encode())
        try:
            told = [name, secret]
            distributed.broadcast_object_list(told)
            opened = able and self._map(Path(told[0]), told[1], numbers)
            answers = [False] * self.size
            distributed.all_gather_object(answers, opened)
        finally:
            if name:
                Path(name).unlink()  # what is mapped stays until the last process ends, whatever ends it
        return all(answers)

    def _map(self, path: Path, secret: str, numbers: int) -> bool:
        try:
            self._file = path.open("r+b", buffering=0)
            memory = mmap(self._file.fileno(), 0)
            if memory[-len(secret) :] != secret.encode():  # another computer's file of that name
                return False
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self.rank)  # until this process ends
        except (OSError, ValueError):
            return False
        self._counts = memoryview(memory)[:numbers].cast("q")
        with torch.inference_mode(False):  # which later messages need not be sent in
            whole = torch.frombuffer(memory, dtype=torch.uint8, count=2 * self.size * PLACE, offset=numbers)
            self._places = whole.view(2, self.size, PLACE)
        return True

    def _wait(self, rank: int) -> None:
        """Until that process has sent as many messages as this one."""
        place = rank * LINE
        for _ in range(SPINS):
            if self._counts[place] >= self._count:
                return
        began = checked = time.monotonic()
        while self._counts[place] < self._count:
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
        with suppress(OSError):  # it holds its byte
            fcntl.lockf(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, rank)
            if self._counts[rank * LINE] < self._count:  # it may have ended after its message
                raise RuntimeError(f"{who} has ended while this one waited for its message")


def usable() -> bool:
    """Whether this computer keeps the order that counts rely on, and has files in memory."""
    return FOLDER.is_dir() and platform.machine() in ("x86_64", "AMD64") and hasattr(os, "sched_yield")


_opened: WeakKeyDictionary[distributed.ProcessGroup, Exchange] = WeakKeyDictionary()


def exchange() -> Exchange:
    """The one of today's process group, opened by all processes together where it is asked for first."""
    group = distributed.group.WORLD
    assert group is not None
    if group not in _opened:
        _opened[group] = Exchange()
    return _opened[group]
