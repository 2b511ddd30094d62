"""How a process ends: 0 done, 1 a bug, 2 bad configuration or data, 3 diverged, 4 lost another process of the run.

130 stands for SIGINT and 143 for SIGTERM.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(SystemExit):
    """A signal ended the run; the exit code is the shell's, 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


class Diverged(Exception):  # noqa: N818  # what happened, as the record says it
    """The loss or the weights are no longer finite; the message says where and what was kept."""

    code = 3


class SaveError(Exception):
    """A checkpoint cannot be written; the one before it is whole."""

    code = 2


class RankDied(Exception):  # noqa: N818
    """Another process of the run is gone, and this one ends because of it.

    Args:
        rank: Which one.
        world_size: Of how many.
        what: How it ended.
        code: What this process is to end with: the exit code of the one that is gone, 4 where it has none.
        silent: Whether another process says so.
    """

    def __init__(self, rank: int, world_size: int, what: str, code: int = 4, silent: bool = False) -> None:
        super().__init__(
            f"rank {rank} of the {world_size} processes {what}, so that all of them end; the same command goes on "
            "from the last checkpoint, on any number of devices"
        )
        self.rank = rank
        self.code = code
        self.silent = silent


Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Let ``handler`` answer SIGINT and SIGTERM; nothing outside the main thread, where Python allows no handlers."""
    before = take_over(handler)
    try:
        yield
    finally:
        give_back(before)


def at_once(signum: int, frame: FrameType | None) -> None:
    """The handler for when nothing is there to be saved."""
    raise Interrupted(signum)


def take_over(handler: Handler) -> dict[int, Any]:
    """Answer SIGINT and SIGTERM in this process, and not in those that it forks; the handlers until now."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    here = os.getpid()

    def guarded(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != here:  # a loader's worker inherits handlers, and must die when it is told to
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        else:
            handler(signum, frame)

    return {number: signal.signal(number, guarded) for number in SIGNALS}


def give_back(before: dict[int, Any]) -> None:
    """Reinstall what ``take_over`` replaced."""
    for number, handler in before.items():
        signal.signal(number, handler)
