"""``test_looks.jsonl``: append-only ledger of evaluations of test rows, one in a run's folder and one of all runs.

Each evaluation is written into both, since a folder that is deleted takes its own ledger along. The same checkpoint on
the same rows is one look, so that a run that is killed while it tests and resumed has the ledger of an uninterrupted
one. A line of a process that was killed while it wrote is damaged, and its reader skips it.
"""

import errno
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from datamodules.errors import DataError
from datamodules.regular_file import check_regular
from experiments.terminal import say

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LEDGER = "test_looks.jsonl"

WAIT = 5.0
"""Seconds to wait for the lock of a ledger. Without it a line is still appended in one write."""


@dataclass(frozen=True)
class Look:
    """One evaluation of test rows."""

    time: str  # in ISO 8601
    command: str  # fit, test, floor or explain
    experiment: str
    run: str  # empty for a checkpoint that belongs to no run
    file: str  # the checkpoint, relative to its run's folder if it is there; empty for weights that were never saved
    checkpoint: str  # SHA-256 of the weights, of the predictions for a baseline
    data: str  # fingerprint of the data
    split: str  # fingerprint of the split
    rows: str  # SHA-256 of the ids of the test rows
    count: int  # of test rows
    metrics: dict[str, float | None]  # without test/; None where undefined

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for the same checkpoint on the same rows."""
        return self.checkpoint, self.data, self.rows

    @staticmethod
    def of(line: bytes) -> "Look":
        """Parses a line; raises ValueError, TypeError or RecursionError for a damaged one."""
        look = Look(**json.loads(line))
        texts = (look.time, look.command, look.experiment, look.run, look.checkpoint, look.data, look.split, look.rows)
        if not all(isinstance(text, str) for text in texts) or not isinstance(look.metrics, dict):
            raise TypeError
        return look


def read_looks(folder: Path) -> tuple[list[Look], int]:
    """Reads the ledger of a run or of a folder of runs; returns its looks and the number of damaged lines.

    A folder without a ledger has no looks. One that cannot be read counts as a damaged line.
    """
    path = folder / LEDGER
    try:
        check_regular(path)
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], 0
    except (OSError, DataError):
        return [], 1
    looks, damaged = [], 0
    for line in lines:
        try:
            looks += [Look.of(line)] if line.strip() else []
        except (ValueError, TypeError, RecursionError):
            damaged += 1
    return looks, damaged


def root_of_run(folder: Path) -> Path | None:
    """Returns the folder of all runs that a run's folder is in; None for one that was moved elsewhere."""
    root = folder.resolve().parent.parent
    return root if root.name == "runs" or (root / LEDGER).is_file() else None


def write_look(look: Look, folders: Iterable[Path]) -> None:
    """Appends a look to the ledger of each folder, unless it is there; says on stderr which cannot be written."""
    for folder in folders:
        try:
            append_look(look, folder)
        except (OSError, DataError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            say(f"note: {folder / LEDGER} lacks this look at the test rows: {reason}", sys.stderr)


def append_look(look: Look, folder: Path) -> None:
    """Appends a look to a folder's ledger in one write, unless it is there, and flushes it to the disk.

    Raises OSError where that cannot be done, also for a link, which may lead to any file, and DataError for a pipe.
    """
    path = folder / LEDGER
    check_regular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        _lock(descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read()
        if look.checkpoint.encode() in content and look.key in _keys(content):
            return
        begin = b"\n" if content and not content.endswith(b"\n") else b""  # behind a damaged line
        line = begin + json.dumps(asdict(look), allow_nan=False).encode() + b"\n"
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keys(content: bytes) -> set[Any]:
    keys = set()
    for line in content.splitlines():
        with suppress(ValueError, TypeError, RecursionError):
            keys.add(Look.of(line).key)
    return keys


def _lock(descriptor: int) -> None:
    """Locks a ledger, which the jobs of a sweep share, until its descriptor is closed; goes on where it cannot."""
    end = time.monotonic() + WAIT
    while fcntl is not None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except (BlockingIOError, PermissionError):
            if time.monotonic() > end:
                return
            time.sleep(0.01)
        except OSError:  # a disk without locks
            return
