"""Lock of a run's folder, so that two processes never train in it, also on machines that share a disk."""

import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from lightning.pytorch.utilities import rank_zero_only

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_held: dict[Path, int] = {}
"""Descriptors of the locks of this process, by file."""


def acquire(folder: Path) -> bool:
    """Locks a run's folder, which may not exist, until ``release``; returns False if another process holds the lock.

    The first of several processes of a run locks for all. The kernel ends the lock of a process that is killed. POSIX
    locks hold over NFS, and loader workers do not inherit them, as they do those of flock.

    Raises:
        OSError: If the file of the lock, beside the folder, cannot be written.
    """
    file = _file(folder)
    while fcntl is not None and getattr(rank_zero_only, "rank", 0) == 0 and file not in _held:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # another process has removed the empty folder
            continue
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except OSError:  # a file system without locks
            os.close(descriptor)
            return True
        if file.exists() and os.path.samestat(file.stat(), os.fstat(descriptor)):
            _held[file] = descriptor
        else:  # removed by its holder in between
            os.close(descriptor)
    return True


def is_held(folder: Path) -> bool:
    """Returns True if this process, or the first one of its run, holds the lock; False where a disk has no locks."""
    return getattr(rank_zero_only, "rank", 0) != 0 or _file(folder) in _held


def release() -> None:
    """Removes the locks of this process, and folders that a run which could not start leaves empty."""
    while _held:
        file, descriptor = _held.popitem()
        with suppress(OSError):
            file.unlink()
            file.parent.rmdir()
            file.parent.parent.rmdir()
        os.close(descriptor)


def _file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock").absolute()
