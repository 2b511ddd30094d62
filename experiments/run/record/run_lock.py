"""Lock of a run's folder, so that two processes never train in it, also on machines that share a disk.

A file beside the folder names its holder. The kernel ends a POSIX lock on that file together with the process. Some
network disks lock within one machine only, or not at all; the holder's heartbeat, the file's time, decides there.
"""

import json
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from experiments.run.record.record_io import process
from experiments.terminal import say

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

BEAT, SILENCE = 10.0, 120.0
"""Seconds between two beats, and without one after which a holder that cannot be asked counts as gone."""

SETTLE = 1.0
"""Seconds after which the last writer of a file that is not locked is its holder."""

_held: dict[Path, tuple[int, threading.Thread, threading.Event]] = {}
"""Descriptor and heartbeat of the locks of this process, by file."""


def acquire(folder: Path) -> str:
    """Locks a run's folder, which may not exist, until ``release``; the first of several processes locks for all.

    Returns an empty string, or who holds the lock, as in "in progress in process 7 on node1". Raises OSError if the
    file of the lock, beside the folder, cannot be written.
    """
    file = folder.with_name(f".{folder.name}.lock").absolute()
    while getattr(rank_zero_only, "rank", 0) == 0 and file not in _held:
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its holder has removed the file, or with it the empty folder
            descriptor, is_new = _open(file)
            try:
                if holder := _take(file, descriptor, is_new):
                    return holder
                if os.path.samestat(file.stat(), os.fstat(descriptor)):
                    stop = threading.Event()
                    thread = threading.Thread(target=_beat, args=(folder, descriptor, stop), daemon=True)
                    thread.start()
                    _held[file] = descriptor, thread, stop
            finally:
                if file not in _held:
                    os.close(descriptor)
    return ""


def release() -> None:
    """Removes the locks of this process, and folders that a run which could not start leaves empty."""
    while _held:
        file, (descriptor, thread, stop) = _held.popitem()
        stop.set()
        thread.join()
        with suppress(OSError):
            file.unlink()
            file.parent.rmdir()
            file.parent.parent.rmdir()
        os.close(descriptor)


def _open(file: Path) -> tuple[int, bool]:
    """Returns a descriptor of the file, and whether this call has made it."""
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(file, os.O_RDWR), False


def _take(file: Path, descriptor: int, is_new: bool) -> str:
    """Writes this process into the file, unless another one holds it; returns that one."""
    locked, own, other = _lock(descriptor), process(os.getpid()), _holder(descriptor)
    name = f"in progress in process {other.get('pid', '?')} on {other.get('host', 'another machine')}"
    if locked is False:
        return name
    is_sure = is_new or (locked and (not other or _kernel(other) == _kernel(own)))
    if not is_sure:
        with tempfile.TemporaryFile(dir=file.parent) as probe:  # has the time of the disk's clock
            silence = os.fstat(probe.fileno()).st_mtime - os.fstat(descriptor).st_mtime
        if other.get("host") == own["host"]:
            if process(other["pid"]) == other:
                return name
        elif silence < SILENCE:
            return (
                f"{name}, which cannot be asked from here and gave a sign of life {silence:.0f} s ago; without one for "
                f"{SILENCE:.0f} s it is taken over"
            )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(own).encode(), 0)
    if not is_sure:
        time.sleep(SETTLE)
    return "" if _holder(descriptor) == own else "in progress since a moment ago"


def _lock(descriptor: int) -> bool | None:
    """Locks the file; returns False if another process has, and None where a disk has no locks.

    POSIX locks hold over NFS, and loader workers do not inherit them, as they do those of flock.
    """
    if fcntl is None:
        return None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _holder(descriptor: int) -> dict[str, Any]:
    """Returns the process that the file names; empty if it names none."""
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return content if isinstance(content, dict) and isinstance(content.get("pid"), int) else {}


def _kernel(holder: dict[str, Any]) -> str:
    """Returns the boot of a process's kernel, whose containers may have several host names."""
    return str(holder["began"]).partition(" ")[0] if " " in str(holder.get("began")) else str(holder.get("host"))


def _beat(folder: Path, descriptor: int, stop: threading.Event) -> None:
    """Renews the file's time; ends this process, which must have slept, if another one has taken the run over."""
    own = os.getpid(), process(os.getpid())["began"]
    while not stop.wait(BEAT):
        with suppress(OSError):
            os.utime(descriptor)
            other = _holder(descriptor)
            if other and (other["pid"], other.get("began")) != own:
                say(f"error: the run {folder} was taken over by another process, and is left to it", sys.stderr)
                os._exit(2)
