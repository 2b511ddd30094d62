"""A sweep whose processes are calls in this process, which saves seconds; sweep/test_sweep.py has real processes."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from experiments.sweep import config_check, optuna_search, runner
from experiments.sweep.grid import Run
from experiments.sweep.sweep_directory import Folder


class Calls:
    """A launcher whose runs are over before ``start`` returns."""

    def __init__(self) -> None:
        self.jobs: int | None = 1
        self.started: list[str] = []
        self.over: list[tuple[Run, int]] = []
        self.before: Callable[[Run], None] = lambda run: None

    def has_room(self) -> bool:
        return not self.over

    def start(self, run: Run, folder: Folder) -> None:
        self.started.append(run.name)
        self.before(run)
        before = sys.stdout, sys.stderr
        with folder.log(run.name).open("a") as log:
            sys.stdout = sys.stderr = log
            try:
                code = main([*run.words])
            except SystemExit as error:
                code = int(error.code or 0)
            finally:
                sys.stdout, sys.stderr = before
        self.over.append((run, code))

    def running(self) -> list[Run]:
        return [run for run, _ in self.over]

    def ended(self) -> list[tuple[Run, int]]:
        over, self.over = self.over, []
        return over

    def check(self, folder: Path) -> int:
        before, sys.argv = sys.argv, [str(folder)]
        try:
            config_check.main()
        except SystemExit as error:
            return int(error.code or 0)
        finally:
            sys.argv = before
        return 0

    def close(self) -> None: ...

    def stop(self, run: Run) -> None:
        self.over = [(one, -signal.SIGTERM if one == run else code) for one, code in self.over]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Sweeps of this test start no process."""
    launcher = Calls()
    for caller in ("runner", "optuna_search"):
        monkeypatch.setattr(f"experiments.sweep.{caller}.launcher_of", lambda options, jobs: launcher, raising=False)
    monkeypatch.setattr("experiments.sweep.scheduler.POLL_SECONDS", 0.0)
    return launcher


def install() -> None:
    """Sweeps of this process start no process, for good."""
    launcher = Calls()
    for module in (runner, optuna_search):
        module.launcher_of = lambda options, jobs: launcher  # type: ignore[assignment]


def records(root: Path, experiment: str) -> dict[str, dict[str, Any]]:
    """Returns the records of an experiment's runs, by their names."""
    paths = sorted((root / "runs" / experiment).glob("*/record.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in paths}
