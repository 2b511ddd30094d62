"""The outcome of a run, from its exit code, its record and its output."""

import signal
from dataclasses import dataclass, field
from typing import Any

from experiments.exit_codes import SIGNALS
from experiments.sweep.grid import Run
from experiments.sweep.sweep_directory import Folder
from experiments.terminal import decimal

COMPLETE = ("finished", "untested")
"""Statuses of a record with nothing left to do."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one run."""

    run: Run
    code: int  # exit code as in a shell: 137 for SIGKILL
    record: dict[str, Any] = field(default_factory=dict)
    error: str = ""  # one sentence
    result: str = ""  # of a trial of a search, in place of the test's metric
    early: bool = False  # the search stopped it as worse than others

    @property
    def complete(self) -> bool:
        """True if nothing is left to do."""
        return self.early or (self.record.get("status") in COMPLETE and not self.code)

    @classmethod
    def of(cls, folder: Folder, run: Run, code: int) -> "Outcome":
        """Reads the outcome of a run that ended with an exit code, or minus the signal that killed it."""
        code = code if code >= 0 else 128 - code
        record = folder.record(run.name)
        error = _error(folder, run, code) if code else ""
        if not code and record.get("status") not in COMPLETE:
            error = "it ended well and left no finished run; is a trainer.fast_dev_run among the words?"
        return cls(run, code, record, error)

    def line(self) -> str:
        """Returns a line with the metric that ranks and the seconds, or with the error."""
        if self.error and not self.early:
            return f"{self.run.name}  exit code {self.code}: {self.error}"
        rank = str(self.record.get("rank_by", ""))
        metrics = self.record.get("metrics") or {}
        result = self.result or (f"{rank} {decimal(metrics[rank])}" if rank in metrics else "")
        seconds = "" if self.early else f"{self.record.get('seconds', 0.0):.1f} s"
        return "  ".join(filter(None, (self.run.name, result, seconds)))


def last_line(folder: Folder, name: str) -> str:
    """Returns the last line of a run's output; empty without one."""
    try:
        with folder.log(name).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _error(folder: Folder, run: Run, code: int) -> str:
    try:
        text = folder.log(run.name).read_text(errors="replace")
    except OSError:
        text = ""
    lines = text.splitlines()
    start = max((index for index, line in enumerate(lines) if line.startswith("$ ")), default=-1)  # of this session
    session = [line.strip() for line in lines[start + 1 :] if line.strip()]
    errors = [line.removeprefix("error: ") for line in session if line.startswith("error: ")]
    if errors:
        return errors[-1]
    if code == 128 + signal.SIGKILL:
        return "killed by SIGKILL; was memory short?"
    if code - 128 in SIGNALS:
        return "interrupted; the sweep started again goes on with it"
    return session[-1] if session else "it ended without a word"
