"""Exit codes and signals: 0 done, 1 a bug, 2 bad configuration or data, 3 diverged, 4 another process of the run died.

130 stands for SIGINT, 143 for SIGTERM, 129 for SIGHUP and 138 for SIGUSR1.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
"""Signals after which a run saves and ends; Windows has two of them.

Under SLURM Lightning saves and requeues at SIGUSR1 itself, unless the signal has a handler: into a file beside the
runs, which the next run of any name would start from.
"""


class Interrupted(SystemExit):
    """A signal ended the run; the exit code is the shell's, 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


class Refused(SystemExit):
    """The parser refused the words of a command; ``lines`` say why, and are printed where the command ends."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(2)
        self.lines = lines


class Diverged(Exception):  # noqa: N818  # the record's word for the state of the run
    """The loss or the weights are no longer finite; the message names the step and the checkpoints that are left."""

    code = 3


class SaveError(Exception):
    """A checkpoint cannot be written; the one before it is whole."""

    code = 2


class RankDied(Exception):  # noqa: N818
    """Another process of the run is gone, and this one ends with its exit code, 4 if it has none.

    With ``silent`` another process reports it.
    """

    def __init__(self, rank: int, world_size: int, reason: str, code: int = 4, silent: bool = False) -> None:
        super().__init__(
            f"rank {rank} of the {world_size} processes {reason}, so that all of them end; the same command goes on "
            "from the last checkpoint, on any number of devices"
        )
        self.code, self.silent = code, silent


Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Handles ``SIGNALS``; does nothing outside the main thread, where Python allows no handlers."""
    replaced = install_handler(handler)
    try:
        yield
    finally:
        restore_handlers(replaced)


def interrupt(signum: int, frame: FrameType | None) -> None:
    """Handler that ends the process at once, for when there is nothing to save.

    Python ignores an exception inside of a finalizer, as in ``__del__``; the signal is then sent once more.
    """
    report = sys.unraisablehook

    def send_again(ignored: Any) -> None:
        if isinstance(ignored.exc_value, Interrupted):
            threading.Timer(0.01, os.kill, (os.getpid(), signum)).start()
        else:
            report(ignored)

    sys.unraisablehook = send_again
    raise Interrupted(signum)


def install_handler(handler: Handler) -> dict[int, Any]:
    """Handles ``SIGNALS`` in this process, but not in its forks; returns the replaced handlers."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    owner = os.getpid()

    def guarded(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            handler(signum, frame)
        elif signum == signal.SIGTERM:  # by which the owner ends a loader's worker; Ctrl-C reaches all of them
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    heard = [number for number in SIGNALS if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, guarded) for number in heard}  # nohup ignores SIGHUP


def restore_handlers(handlers: dict[int, Any]) -> None:
    """Reinstalls what ``install_handler`` replaced."""
    for number, handler in handlers.items():
        signal.signal(number, handler)
