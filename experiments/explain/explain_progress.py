"""Progress of an explanation: a bar on a terminal, for one that takes more than two seconds."""

from threading import Timer

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.console import Console

DELAY = 2.0
"""Seconds after which the bar appears."""


class ExplainProgress:
    """Context manager that shows how many permutations of all features are done; rich draws it on a terminal alone.

    Args:
        total: Number of permutations.
    """

    def __init__(self, total: int) -> None:
        columns = (TextColumn("permutations"), BarColumn(20), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        self._bar = Progress(*columns, *times, console=Console(highlight=False), transient=True)
        self._task = self._bar.add_task("", total=total)
        self._timer = Timer(DELAY, self._bar.start)
        self._timer.daemon = True

    def __enter__(self) -> "ExplainProgress":
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._timer.join()  # else it may start the bar after its end
        self._bar.stop()

    def advance(self) -> None:
        """Counts one permutation."""
        self._bar.advance(self._task)
