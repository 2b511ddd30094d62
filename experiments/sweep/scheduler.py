"""The loop that starts runs while there is room, and collects their outcomes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from typing_extensions import override

from experiments.exit_codes import handled
from experiments.sweep.config_check import start_check
from experiments.sweep.grid import Run
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import COMPLETE, Outcome
from experiments.sweep.sweep_directory import Folder

POLL_SECONDS = 0.05
"""Between two polls of the runs."""


class Launcher(ABC):
    """Starts runs, at most ``jobs`` at once, as tasks: processes of this machine, or tasks of a cluster."""

    def __init__(self, jobs: int | None) -> None:
        self.jobs = jobs
        self.tasks: dict[Any, Run] = {}

    def check(self, folder: Path) -> int:
        """Runs ``config_check`` on a folder with its request; returns the exit code."""
        return start_check(folder)

    def has_room(self) -> bool:
        """Returns True if another run may be started."""
        return self.jobs is None or len(self.tasks) < self.jobs

    def running(self) -> list[Run]:
        """Returns the started runs that ``ended`` has not returned yet."""
        return list(self.tasks.values())

    @abstractmethod
    def start(self, run: Run, folder: Folder) -> None:
        """Starts a run; its output goes to its log."""

    @abstractmethod
    def ended(self) -> list[tuple[Run, int]]:
        """Returns the runs that ended since, with exit code or minus the signal that killed them, without waiting."""

    @abstractmethod
    def stop(self, run: Run) -> None:
        """Sends SIGTERM: the run saves and ends."""

    def close(self) -> None:
        """Frees what the launcher holds; its runs have ended."""
        self.tasks.clear()


class Source(ABC):
    """Chooses the runs."""

    @abstractmethod
    def next(self) -> Run | None:
        """Returns the run to start now; None if there is none, for now or for good."""

    @abstractmethod
    def waiting(self) -> Sequence[Run]:
        """Returns the runs that another process has in progress."""

    def take(self, outcome: Outcome) -> Outcome:
        """Takes the outcome of a run, and returns it as it is to be reported."""
        return outcome

    def watch(self, running: Sequence[Run]) -> list[Run]:
        """Returns those of the running runs that need not go on."""
        return []


class Listed(Source):
    """Source of a list of runs without complete ones; those in progress elsewhere wait."""

    def __init__(self, folder: Folder, runs: Sequence[Run]) -> None:
        self.folder = folder
        self.runs = [run for run in runs if folder.status(run.name) not in COMPLETE]

    @override
    def next(self) -> Run | None:
        for run in [*self.runs]:
            status = self.folder.status(run.name)
            if status != "running":
                self.runs.remove(run)
                if status not in COMPLETE:  # a process of an earlier sweep may have completed it meanwhile
                    return run
        return None

    @override
    def waiting(self) -> Sequence[Run]:
        return self.runs


def work(launcher: Launcher, source: Source, folder: Folder, display: Display) -> tuple[list[Outcome], int | None]:
    """Runs what the source returns until it has no more, or until a signal; returns each outcome, and the signal.

    SIGINT and SIGTERM start nothing more and stop the runs, which save.
    """
    outcomes: list[Outcome] = []
    signals: list[int] = []
    reported: set[str] = set()

    def on_signal(signum: int, frame: FrameType | None) -> None:
        signals.append(signum)

    with handled(on_signal):
        forwarded = 0
        while True:
            more = True
            while more and not signals and launcher.has_room():
                run = source.next()
                more = run is not None
                if run is not None:
                    launcher.start(run, folder)
                    display.started(run)
            if len(signals) > forwarded:
                forwarded = len(signals)
                for run in launcher.running():
                    launcher.stop(run)
            for run, code in launcher.ended():
                outcomes.append(source.take(Outcome.of(folder, run, code)))
                display.ended(outcomes[-1])
            busy = launcher.running()
            if not busy and (signals or not (more or source.waiting())):
                return outcomes, signals[0] if signals else None
            for run in [] if busy or signals or more else source.waiting():
                if run.name not in reported:
                    reported.add(run.name)
                    display.say(f"{run.name} is in progress in another process; waiting for it")
            for run in [] if signals else source.watch(busy):
                launcher.stop(run)
            display.refresh(busy)
            time.sleep(POLL_SECONDS)
