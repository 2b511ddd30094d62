"""A process that dies ends the others, with its name in one sentence, instead of leaving them waiting for it."""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from os import _exit
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies.launchers import subprocess_script
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from experiments.exit_codes import RankDied
from experiments.terminal import say


def install() -> None:
    """Put ``observe`` in the place of Lightning's observer.

    That one kills this process with SIGKILL within five seconds of a child's end: no sentence, no exit code, no record.
    """
    subprocess_script._launch_process_observer = observe  # type: ignore[attr-defined,assignment]


def observe(children: Sequence[Any]) -> None:
    """End this process where one that it launched failed and it did not end because of that by itself."""
    threading.Thread(target=_observe, args=(children,), daemon=True).start()


def _observe(children: Sequence[Any]) -> None:
    failed: list[int] = []
    while not failed:
        codes = [child.poll() for child in children]
        failed = [rank for rank, code in enumerate(codes, start=1) if code]
        if not any(code is None for code in codes) and not failed:
            return
        time.sleep(2 * GRACE if failed else PERIOD)
    leave(RankDied(failed[0], len(children) + 1, *ended(children[failed[0] - 1].returncode)), children)


PERIOD = 1.0
"""Seconds between two signs of life."""

DEAD_AFTER, SUSPECT_AFTER = 30.0, 5.0
"""Seconds without one after which a process is given up: at any time, and once a message to another has failed."""

GRACE = 10.0
"""Seconds that a process has to end by itself once another is known to be gone."""


class Watch(Callback):
    """Each process of a run with several gives a sign of life every second; the first one listens to all of them.

    Messages to a process that was killed fail at once, and those to a machine that fell silent after half an hour:
    either way the first process finds out who it was within half a minute, tells the others, and all of them end.
    """

    def __init__(self) -> None:
        self.lost: RankDied | None = None
        self._found, self._stop = threading.Event(), threading.Event()
        self._limit = DEAD_AFTER
        self._rank, self._world_size = 0, 1
        self._children: Sequence[Any] = ()
        self._thread: threading.Thread | None = None
        self._store: TCPStore

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start to watch."""
        self._rank, self._world_size = trainer.global_rank, trainer.world_size
        if self._world_size == 1:
            return
        host, wait = _host(trainer), timedelta(seconds=DEAD_AFTER / 2)
        if self._rank == 0:
            self._store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=wait)
            for key in ("end", *self._beats()):
                self._store.set(key, "")
            self._children = getattr(trainer.strategy.launcher, "procs", ())
        port = trainer.strategy.broadcast(self._store.port if self._rank == 0 else 0)
        if self._rank:
            self._store = TCPStore(host, port, timeout=wait)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._stop,), daemon=True)
        self._thread.start()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stop together, since what is said is kept by the first process."""
        if self._thread is not None:
            trainer.strategy.barrier()
            self._stop.set()
            self._thread = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Tell a failure of this process from one that follows from another's.

        Raises:
            RankDied: Where another process is gone.
        """
        if self._thread is None:
            return
        if isinstance(exception, RuntimeError):  # a message that failed, or a bug
            self._limit = SUSPECT_AFTER
            self._found.wait(2 * SUSPECT_AFTER)
        if self.lost is None:
            code = int(getattr(exception, "code", None) or 1)
            self._tell(self._rank, f"ended first, with exit code {code}", code)
        self._stop.set()
        self._thread = None
        if self.lost is not None:
            raise self.lost from exception

    def _beats(self) -> list[str]:
        return [f"beat/{rank}" for rank in range(self._world_size)]

    def _watch(self, stop: threading.Event) -> None:
        number, seen = 0, [("", time.monotonic())] * self._world_size
        while not stop.wait(PERIOD):
            number += 1
            try:
                self._store.set(f"beat/{self._rank}", str(number))
                if self._rank == 0:
                    self._listen(seen)
                said = self._store.get("end").decode()
            except RuntimeError:
                said = "0|4|was killed or cannot be reached"
            if said and not stop.is_set():
                rank, code, what = said.split("|", 2)
                silent = self._rank != (1 if rank == "0" else 0)
                self.lost = RankDied(int(rank), self._world_size, what, int(code), silent)
                self._found.set()
                if not stop.wait(GRACE):
                    leave(self.lost, self._children)
                return

    def _listen(self, seen: list[tuple[str, float]]) -> None:
        """Give up those that ended, and those whose number stays the same for too long."""
        for rank, child in enumerate(self._children, start=1):
            if child.poll():
                self._tell(rank, *ended(child.returncode))
        now = time.monotonic()
        for rank, beat in enumerate(self._store.multi_get(self._beats())):
            if beat.decode() != seen[rank][0]:
                seen[rank] = (beat.decode(), now)
            elif (silence := now - seen[rank][1]) > self._limit:
                self._tell(rank, f"gave no sign of life for {silence:.0f} s")

    def _tell(self, rank: int, what: str, code: int = 4) -> None:
        """Have all processes know; the first word stands."""
        with suppress(RuntimeError):
            self._store.compare_set("end", "", f"{rank}|{code}|{what}")


def ended(code: int) -> tuple[str, int]:
    """How a process ended, by what ``subprocess`` calls its return code, and the exit code that follows for others."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}", 4
    return f"ended with exit code {code}", code


def leave(lost: RankDied, children: Sequence[Any] = ()) -> None:
    """End this process from whatever thread, and those that it launched."""
    for child in children:
        child.kill()
    if not lost.silent:
        say(f"error: {lost}", sys.stderr)
    _exit(lost.code)


def _host(trainer: Trainer) -> str:
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return environment.main_address if environment is not None else "127.0.0.1"
