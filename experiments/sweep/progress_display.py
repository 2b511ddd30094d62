"""Progress of a sweep: a bar and the last epoch of each run on a terminal, a line per run anywhere else."""

import re
import shlex
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from experiments.console import Console
from experiments.sweep.grid import Run
from experiments.sweep.run_result import Outcome, last_line
from experiments.sweep.sweep_directory import Folder
from experiments.terminal import duration

EPOCH = re.compile(r"epoch (\d+)(?:/| of at most )(\d+) +(.*)")
"""A run's line about an epoch, see ``EpochLines``."""


class Display:
    """Context manager that shows a sweep of so many runs, or of any number, some of which were complete before."""

    def __init__(self, folder: Folder, total: int | None, complete: int) -> None:
        self.folder = folder
        self.total = total
        self.count = complete
        self.failed = 0
        self._complete, self._began = complete, time.monotonic()
        self.console = Console(highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
        # Without a thread of its own: a run ends with the thread that started it.
        self._bar = Progress(*columns, TimeElapsedColumn(), console=self.console, auto_refresh=False)
        self._sweep = self._bar.add_task("runs", total=total, completed=complete)
        self._runs: dict[str, TaskID] = {}

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Prints one line."""
        self.console.print(text, markup=False)

    def started(self, run: Run) -> None:
        """Prints the command of a run."""
        self.say(f"evenhand {shlex.join(run.words)}")
        self._runs[run.name] = self._bar.add_task(run.name, total=None)

    def ended(self, outcome: Outcome) -> None:
        """Prints the outcome of a run."""
        self.count += 1
        self.failed += not outcome.complete
        position, left = str(self.count), ""
        if self.total is not None:
            position += f"/{self.total}"
            seconds = (time.monotonic() - self._began) / (self.count - self._complete) * (self.total - self.count)
            left = f", about {duration(seconds)} left" if seconds > 0 else ""
        self.say(f"[{position}] {outcome.line()}{left}")
        self._bar.remove_task(self._runs.pop(outcome.run.name))
        description = f"runs, {self.failed} not complete" if self.failed else "runs"
        self._bar.update(self._sweep, completed=self.count, description=description)

    def refresh(self, running: list[Run]) -> None:
        """Shows the last epoch of each run, on a terminal."""
        if not self.console.is_terminal:
            return
        for run in running:
            if match := EPOCH.match(last_line(self.folder, run.name)):
                text = f"{run.name}  {match[3][: max(0, self.console.width - len(run.name) - 45)]}"
                task = self._runs[run.name]
                self._bar.update(task, description=text, completed=int(match[1]), total=int(match[2]))
        self._bar.refresh()
