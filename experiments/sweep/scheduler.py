"""The loop that starts runs where there is room, and takes their ends."""

import time
from collections.abc import Sequence
from types import FrameType
from typing import Protocol

from experiments.exit_codes import handled
from experiments.sweep.grid import Run
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import COMPLETE, Outcome
from experiments.sweep.sweep_directory import Folder

PATIENCE = 0.2
"""Seconds between two looks at the runs."""


class Launcher(Protocol):
    """Where runs are processes: this machine or a cluster."""

    def has_room(self) -> bool:
        """Whether another run may be started."""

    def start(self, run: Run, folder: Folder) -> None:
        """Start it, its words into its log."""

    def running(self) -> list[Run]:
        """Those that were started and have not been told as ended."""

    def ended(self) -> list[tuple[Run, int]]:
        """Those that ended since, with exit codes or minus the signal that killed them; does not wait."""

    def stop(self, run: Run) -> None:
        """SIGTERM: the run saves and ends."""


class Source(Protocol):
    """Who says what is to be run."""

    def next(self) -> Run | None:
        """What to start now; None where there is nothing, for now or for good."""

    def waiting(self) -> list[Run]:
        """What cannot be started yet, since another process is at it."""

    def take(self, outcome: Outcome) -> Outcome:
        """A run has ended; gives what is to be told of it."""

    def watch(self, running: list[Run]) -> list[Run]:
        """Look at those that run; gives those that need not go on."""


class Listed:
    """A list of runs, those that are complete left out, those that another process is at put off.

    Args:
        folder: The experiment's.
        runs: In the order in which they are started.
    """

    def __init__(self, folder: Folder, runs: Sequence[Run]) -> None:
        self.folder = folder
        self.runs = [run for run in runs if folder.status(run.name) not in COMPLETE]

    def next(self) -> Run | None:
        """The first that nobody is at."""
        for index, run in enumerate(self.runs):
            status = self.folder.status(run.name)
            if status != "running":
                self.runs.pop(index)
                if status not in COMPLETE:  # a process of an earlier sweep may have come to its end meanwhile
                    return run
                return self.next()
        return None

    def waiting(self) -> list[Run]:
        """The rest."""
        return self.runs

    def take(self, outcome: Outcome) -> Outcome:
        """It is as it is."""
        return outcome

    def watch(self, running: list[Run]) -> list[Run]:
        """Every run goes on to its end."""
        return []


def work(launcher: Launcher, source: Source, folder: Folder, display: Display) -> tuple[list[Outcome], int | None]:
    """Run what the source gives, until it has no more or a signal comes.

    SIGINT and SIGTERM start nothing more and stop the runs, which save; then this returns.

    Returns:
        How each run ended, and the signal.
    """
    outcomes: list[Outcome] = []
    signals: list[int] = []
    told: set[str] = set()

    def on_signal(signum: int, frame: FrameType | None) -> None:
        signals.append(signum)

    with handled(on_signal):
        passed_on = 0
        while True:
            more = True
            while more and not signals and launcher.has_room():
                run = source.next()
                more = run is not None
                if run is not None:
                    launcher.start(run, folder)
                    display.started(run)
            if len(signals) > passed_on:
                passed_on = len(signals)
                for run in launcher.running():
                    launcher.stop(run)
            for run, code in launcher.ended():
                outcomes.append(source.take(Outcome.of(folder, run, code)))
                display.ended(outcomes[-1])
            busy = launcher.running()
            if not busy and (signals or not (more or source.waiting())):
                return outcomes, signals[0] if signals else None
            for run in [] if busy or signals or more else source.waiting():
                if run.name not in told:
                    told.add(run.name)
                    display.say(f"{run.name} is in progress in another process; waiting for it")
            for run in [] if signals else source.watch(busy):
                launcher.stop(run)
            display.look(busy)
            time.sleep(PATIENCE)
