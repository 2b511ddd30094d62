"""One progress display: a bar and what each run printed last on a terminal, a line per run anywhere else."""

import re
import shlex
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from experiments.console import Console
from experiments.sweep.grid import Run
from experiments.sweep.run_result import Outcome, last_line
from experiments.sweep.sweep_directory import Folder

EPOCH = re.compile(r"epoch (\d+)/(\d+) +(.*)")
"""How a run's line about an epoch begins, see ``EpochLines``."""


class Display:
    """Shows a sweep as a context manager.

    Args:
        folder: The experiment's.
        total: How many runs there are, those included that were complete before.
        complete: How many were complete before.
    """

    def __init__(self, folder: Folder, total: int, complete: int) -> None:
        self.folder = folder
        self.total = total
        self.count = complete
        self.failed = 0
        self.console = Console(highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn())
        # No thread of its own draws it: a run ends with the thread that started it.
        self._bar = Progress(*columns, TimeElapsedColumn(), console=self.console, auto_refresh=False)
        self._whole = self._bar.add_task("runs", total=total, completed=complete)
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False)

    def started(self, run: Run) -> None:
        """Print the command that runs it alone."""
        self.say(f"evenhand {shlex.join(run.words)}")
        self._rows[run.name] = self._bar.add_task(run.name, total=None)

    def ended(self, outcome: Outcome) -> None:
        """Print its line."""
        self.count += 1
        self.failed += not outcome.complete
        self.say(f"[{self.count}/{self.total}] {outcome.line()}")
        self._bar.remove_task(self._rows.pop(outcome.run.name))
        said = f"runs, {self.failed} not complete" if self.failed else "runs"
        self._bar.update(self._whole, completed=self.count, description=said)

    def look(self, running: list[Run]) -> None:
        """Show how far they are."""
        if self.console.is_terminal:
            for run in running:
                found = EPOCH.match(last_line(self.folder, run.name))
                if found:
                    said = f"{run.name}  {found[3][: max(0, self.console.width - len(run.name) - 45)]}"
                    row, done, total = self._rows[run.name], int(found[1]), int(found[2])
                    self._bar.update(row, description=said, completed=done, total=total)
            self._bar.refresh()
