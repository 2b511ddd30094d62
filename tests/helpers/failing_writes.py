"""Breaks the k-th file operation of checkpoint saving: by a kill, or with an error of the operating system.

``copy`` breaks nothing, and copies ``runs/`` ahead of each of the first operations, as kills there would leave it.
"""

import builtins
import errno
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.run import atomic_write


class Breaking:
    """Counts; at the k-th operation dies, or raises."""

    def __init__(self, at: int, how: str) -> None:
        self.at, self.left, self.how = at, at, how

    def __call__(self) -> None:
        self.left -= 1
        if self.how == "copy":
            shutil.copytree("runs", f"copies/{self.at - self.left}/runs")
        elif self.left == 0:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, self.how)
            raise OSError(number, os.strerror(number))


class Written:
    """A file whose write stops half way."""

    def __init__(self, file: Any, tick: Breaking) -> None:
        self.file, self.tick = file, tick

    def __enter__(self) -> "Written":
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()

    def write(self, data: Any) -> None:
        self.tick()
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.tick()
        self.file.write(data[len(data) // 2 :])

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return int(self.file.fileno())


def install(at: int, how: str) -> None:
    """Break operation ``at`` of this process; count them all into the file ``operations`` where it is never reached."""
    tick = Breaking(at, how)
    is_checkpoint = False  # the file being written

    def wrapped(operation: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if not is_checkpoint:
                return operation(*args, **kwargs)
            tick()
            done = operation(*args, **kwargs)
            Path("operations").write_text(str(at - tick.left))
            return done

        return call

    def opened(path: Any, mode: str = "r") -> Any:
        nonlocal is_checkpoint
        is_checkpoint = ".ckpt" in Path(path).name
        if not is_checkpoint:
            return builtins.open(path, mode)
        tick()
        return Written(builtins.open(path, mode), tick)

    names = {name: getattr(os, name) for name in ("open", "close", "O_RDONLY", "strerror")}
    broken = {name: wrapped(getattr(os, name)) for name in ("fsync", "replace")}
    atomic_write.os = SimpleNamespace(**names, **broken)  # type: ignore[attr-defined]
    atomic_write.open = opened  # type: ignore[attr-defined]
