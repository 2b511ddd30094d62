"""Heartbeat between the processes of a run: one that dies ends the others with one sentence, instead of a hang."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from typing_extensions import override

from experiments.exit_codes import RankDied
from experiments.terminal import say

PERIOD = 1.0
"""Seconds between two beats."""

DEAD_AFTER, SUSPECT_AFTER = 30.0, 5.0
"""Seconds without a beat after which a process counts as dead: in general, and after a failed message."""

GRACE = 10.0
"""Seconds that a process has to end by itself after the death of another one."""


def observe(children: Sequence[Any]) -> None:
    """Ends this process if one that it launched failed, and the run did not end because of that by itself."""

    def check() -> None:
        while None in [child.poll() for child in children] and not any(child.returncode for child in children):
            time.sleep(PERIOD)
        for rank, child in enumerate(children, start=1):
            if child.returncode:
                time.sleep(2 * GRACE)
                exit_process(RankDied(rank, len(children) + 1, *describe_end(child.returncode)), children)

    threading.Thread(target=check, daemon=True).start()


class Heartbeat(Callback):
    """Sends a beat from each process every second; rank 0 checks those of all.

    Messages to a killed process fail at once, those to a machine that is off the network after half an hour: either way
    rank 0 finds the dead process within half a minute and tells the others, and all of them end.
    """

    def __init__(self) -> None:
        self.dead: RankDied | None = None
        self._is_dead, self._stop = threading.Event(), threading.Event()
        self._limit = DEAD_AFTER
        self._rank, self._world_size = 0, 1
        self._children: Sequence[Any] = ()
        self._thread: threading.Thread | None = None
        self._store: TCPStore

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._rank, self._world_size = trainer.global_rank, trainer.world_size
        if self._world_size == 1:
            return
        environment, wait = getattr(trainer.strategy, "cluster_environment", None), timedelta(seconds=DEAD_AFTER / 2)
        host = environment.main_address if environment is not None else "127.0.0.1"
        if self._rank == 0:
            self._store = TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=wait)
            for key in ("end", *self._beats()):
                self._store.set(key, "")
            self._children = getattr(trainer.strategy.launcher, "procs", ())
        port = trainer.strategy.broadcast(self._store.port if self._rank == 0 else 0)
        if self._rank:
            self._store = TCPStore(host, port, timeout=wait)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(self._stop,), daemon=True)
        self._thread.start()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._thread is not None:
            trainer.strategy.barrier()  # all stop together, since rank 0 holds the store
            self._stop.set()
            self._thread = None

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._thread is None:
            return
        if isinstance(exception, RuntimeError):  # a message that failed, or a bug
            self._limit = SUSPECT_AFTER
            self._is_dead.wait(2 * SUSPECT_AFTER)
        if self.dead is None:
            code = int(getattr(exception, "code", None) or 1)
            self._announce(self._rank, f"ended first, with exit code {code}", code)
        self._stop.set()
        self._thread = None
        if self.dead is not None:  # the failure of this process follows from another's death
            raise self.dead from exception

    def _beats(self) -> list[str]:
        return [f"beat/{rank}" for rank in range(self._world_size)]

    def _beat(self, stop: threading.Event) -> None:
        number, last_beats = 0, [("", time.monotonic())] * self._world_size
        while not stop.wait(PERIOD):
            number += 1
            try:
                self._store.set(f"beat/{self._rank}", str(number))
                if self._rank == 0:
                    self._check_beats(last_beats)
                announcement = self._store.get("end").decode()
            except RuntimeError:
                announcement = "0|4|was killed or cannot be reached"
            if announcement and not stop.is_set():
                rank, code, reason = announcement.split("|", 2)
                silent = self._rank != (1 if rank == "0" else 0)
                self.dead = RankDied(int(rank), self._world_size, reason, int(code), silent)
                self._is_dead.set()
                if not stop.wait(GRACE):
                    exit_process(self.dead, self._children)
                return

    def _check_beats(self, last_beats: list[tuple[str, float]]) -> None:
        """Announces processes that ended, and those whose beat is the same for too long."""
        for rank, child in enumerate(self._children, start=1):
            if child.poll():
                self._announce(rank, *describe_end(child.returncode))
        now = time.monotonic()
        for rank, beat in enumerate(self._store.multi_get(self._beats())):
            if beat.decode() != last_beats[rank][0]:
                last_beats[rank] = (beat.decode(), now)
            elif (silence := now - last_beats[rank][1]) > self._limit:
                self._announce(rank, f"gave no sign of life for {silence:.0f} s")

    def _announce(self, rank: int, reason: str, code: int = 4) -> None:
        with suppress(RuntimeError):  # the first announcement of a death is kept
            self._store.compare_set("end", "", f"{rank}|{code}|{reason}")


def describe_end(returncode: int) -> tuple[str, int]:
    """Returns how a process ended, by the return code of ``subprocess``, and the exit code for the others."""
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}", 4
    return f"ended with exit code {returncode}", returncode


def exit_process(dead: RankDied, children: Sequence[Any] = ()) -> None:
    """Ends this process, from any thread, and those that it launched."""
    for child in children:
        child.kill()
    if not dead.silent:
        say(f"error: {dead}", sys.stderr)
    os._exit(dead.code)
