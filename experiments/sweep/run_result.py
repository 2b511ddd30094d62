"""How a run ended, from its exit code, its record and what it printed."""

import signal
from dataclasses import dataclass, field
from typing import Any

from experiments.sweep.grid import Run
from experiments.sweep.sweep_directory import Folder

COMPLETE = ("finished", "untested")
"""What a record says of a run that nothing is left to do for."""


@dataclass(frozen=True)
class Outcome:
    """One run's end.

    Args:
        run: Which.
        code: Its exit code, as a shell tells it: 137 for SIGKILL.
        record: What it left; empty where it left none.
        error: One sentence; empty where it went well.
        said: What a search says of it, in place of the test's metric.
        early: Whether the search ended it, since it was not going to be the best.
    """

    run: Run
    code: int
    record: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    said: str = ""
    early: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.early or (self.record.get("status") in COMPLETE and not self.code)

    @classmethod
    def of(cls, folder: Folder, run: Run, code: int) -> "Outcome":
        """Read it.

        Args:
            folder: The experiment's.
            run: Which.
            code: The exit code, or minus the signal that killed it.
        """
        code = code if code >= 0 else 128 - code
        record = folder.record(run.name)
        told = _error(folder, run, code) if code else ""
        if not code and record.get("status") not in COMPLETE:
            told = "it ended well and left no finished run; is a trainer.fast_dev_run among the words?"
        return cls(run, code, record, told)

    def line(self) -> str:
        """For a person: the metric that ranks and the seconds, or what went wrong."""
        if self.error and not self.early:
            return f"{self.run.name}  exit code {self.code}: {self.error}"
        rank = str(self.record.get("rank_by", ""))
        measured = self.record.get("metrics") or {}
        said = self.said or (f"{rank} {measured[rank]:.4f}" if rank in measured else "")
        seconds = "" if self.early else f"{self.record.get('seconds', 0.0):.1f} s"
        return "  ".join(part for part in (self.run.name, said, seconds) if part)


def last_line(folder: Folder, name: str) -> str:
    """What a run printed last; empty where it printed nothing."""
    try:
        with folder.log(name).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _error(folder: Folder, run: Run, code: int) -> str:
    try:
        lines = folder.log(run.name).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    begun = max((index for index, line in enumerate(lines) if line.startswith("$ ")), default=-1)  # this session's
    told = [line.removeprefix("error: ") for line in lines[begun + 1 :] if line.startswith("error: ")]
    if told:
        return told[-1]
    if code == 128 + signal.SIGKILL:
        return "killed by SIGKILL; was memory short?"
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        return "interrupted; the sweep started again goes on with it"
    return (last_line(folder, run.name) if lines[begun + 1 :] else "") or "it ended without a word"
