"""Breaks a process at its k-th write beneath the working directory: by a kill, or by a disk that is full or read-only.

It can also copy the folder ahead of each of the first k writes, as kills at these writes would leave it.

A write is a file opened for writing, renamed, removed, truncated or flushed to the disk, or a folder made.
"""

import errno
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}

FREES_ROOM = {"os.rename", "os.remove", "os.rmdir", "os.truncate"}
"""Works on a full disk."""


class Writes:
    """Counts the writes; from the ``at``-th on, if it is not 0, kills the process or raises.

    Args:
        at: Number of the first write that fails.
        how: ``kill``; ``copy``, which copies the folder to ``FOLDER-1``, ``FOLDER-2`` and so on before it kills; or the
            name of an error number.
    """

    def __init__(self, at: int, how: str) -> None:
        self.at, self.how = at, how
        self.count = 0
        self.home = os.getcwd() + os.sep
        self.active = True

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Is called ahead of every event of the interpreter."""
        if not self.active or event not in EVENTS or not isinstance(args[0], str | os.PathLike):
            return
        if event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        path = os.path.abspath(args[0])
        if path.startswith(self.home):
            self.tick(event, path)

    def tick(self, event: str, path: str) -> None:
        self.count += 1
        if self.how == "copy" and self.count < self.at:
            shutil.copytree(self.home, f"{self.home.rstrip(os.sep)}-{self.count}", symlinks=True)
        if not 0 < self.at <= self.count:
            return
        if self.how in ("kill", "copy"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how != "ENOSPC" or event not in FREES_ROOM:
            raise OSError(getattr(errno, self.how), os.strerror(getattr(errno, self.how)), path)


def install(at: int, how: str) -> Writes:
    """Breaks this process, for good."""
    writes = Writes(at, how)
    sys.addaudithook(writes.hook)
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if writes.active:
            writes.tick("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    os.fsync = fsync
    return writes


def report(writes: Writes, file: Path) -> None:
    """Writes the number of writes."""
    writes.active = False
    file.write_text(str(writes.count))
