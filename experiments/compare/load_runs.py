"""Finding runs, and telling those that can be compared from those that cannot."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.run.record.record_io import read_record
from lit_models.errors import ConfigError

REPEATS = ("seed", "data.split_seed", "data.fold")
"""Settings that make a repetition of a run, not another run."""

WHY_NOT = {
    "running": "is still running",
    "interrupted": "was interrupted; the same fit command goes on with it",
    "diverged": "diverged; its divergence.json says where",
    "failed": "failed",
    "untested": "was not tested; a search tests its choice alone",
}
"""Under each status but ``finished``, what a person reads."""

Setting = str | int | float | bool


class Unusable(Exception):  # noqa: N818  # what a run is
    """A run that cannot be compared; the message says why, and goes behind its name."""


@dataclass(frozen=True, eq=False)
class Run:
    """What comparing needs of a finished run's record.

    Args:
        path: The run's folder.
        settings: The hyperparameters, flat, by their names on the command line.
        data: What the data are called.
        task: As a configuration names it.
        rank_by: The metric that ranks runs of this task, without ``test/``.
        fingerprints: SHA-256 of the data and of the split.
        rows: How many rows ``train`` and ``test`` have.
        parameters: How many are trained.
        seconds: What the training took.
        metrics: Those of the test rows as recorded, without ``test/``; NaN where undefined.
        identity: Commit, device and precision, as text.
        started: When, as ISO 8601 text.
    """

    path: Path
    settings: dict[str, Setting]
    data: str
    task: str
    rank_by: str
    fingerprints: tuple[str, str]
    rows: dict[str, int]
    parameters: int
    seconds: float
    metrics: dict[str, float]
    identity: dict[str, str]
    started: str

    @property
    def name(self) -> str:
        """``experiment/run``, or the folder's name where it stands alone."""
        return "/".join(self.path.parts[-2:])

    @property
    def split(self) -> str:
        """The split's fingerprint."""
        return self.fingerprints[1]


@dataclass(frozen=True)
class LeftOut:
    """A run that is not compared, and why, as in ``runs/a/b: diverged``."""

    path: Path
    reason: str


def read_runs(paths: Iterable[Path]) -> tuple[list[Run], list[LeftOut]]:
    """Every run at or below the paths, each once, in the order of their paths.

    Raises:
        ConfigError: For a path that does not exist, or where no run is found at all.
    """
    runs: list[Run] = []
    left: list[LeftOut] = []
    paths = list(paths)
    for folder in sorted({folder.resolve(): folder for path in paths for folder in find(path)}.values()):
        try:
            runs.append(read_run(folder))
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            left.append(LeftOut(folder, _reason(error)))
        except Unusable as unusable:
            left.append(LeftOut(folder, str(unusable)))
    if not runs and not left:
        raise ConfigError(f"no run is at or below {', '.join(map(str, paths))}; a run's folder holds a record.json")
    return runs, left


def find(path: Path) -> Iterator[Path]:
    """The folders at or below a path that hold a record, or the beginning of one."""
    if not path.is_dir():
        raise ConfigError(f"there is no folder {path}; give folders of runs, of experiments, or their root")
    for folder, below, files in os.walk(path):
        if {"record.json", "record.json.new"} & {*files}:
            below.clear()
            yield Path(folder)


def read_run(folder: Path) -> Run:
    """One run's record.

    Raises:
        Unusable: Where it is not a finished run's.
    """
    if not (folder / "record.json").exists():
        raise Unusable("its record was never completely written")
    content = read_record(folder)
    status = content["status"]
    if status != "finished":
        raise Unusable(WHY_NOT.get(str(status), f"has the unknown status {str(status)[:40]!r}"))
    settings = {str(name): value for name, value in content["hyperparameters"].items()}
    if not all(isinstance(value, Setting) for value in settings.values()):
        raise TypeError
    fingerprints = content["fingerprints"]
    device = content.get("device") or {}
    return Run(
        path=folder,
        settings={"model": str(content["model"])} | settings,
        data=str(content["data"]),
        task=str(content["task"]),
        rank_by=content["rank_by"].removeprefix("test/"),
        fingerprints=(str(fingerprints["data"]), str(fingerprints["split"])),
        rows={part: int(content["rows"][part]) for part in ("train", "test")},
        parameters=int(content["parameters"]),
        seconds=float(content["seconds"]),
        metrics={name.removeprefix("test/"): float(value) for name, value in content["metrics"].items()},
        identity=_identity(content, device),
        started=str(content["started"]),
    )


def once_per_seed(runs: Iterable[Run]) -> tuple[list[Run], list[LeftOut]]:
    """The newest of runs that have every setting in common, the seed too: repeating a run adds no evidence."""
    runs = list(runs)
    newest: dict[tuple[Any, ...], Run] = {}
    for run in sorted(runs, key=lambda run: run.started):
        newest[
            (
                run.task,
                run.rank_by,
                run.fingerprints,
                *sorted((name, str(value)) for name, value in run.settings.items()),
            )
        ] = run
    kept = {id(run) for run in newest.values()}
    again = [LeftOut(run.path, "has the settings and the seed of a newer run") for run in runs if id(run) not in kept]
    return [run for run in runs if id(run) in kept], again


def _identity(content: dict[str, Any], device: dict[str, Any]) -> dict[str, str]:
    git = content.get("git") or {}
    return {
        "commits": str(git.get("sha"))[:10],
        "devices": " ".join(str(device.get(name)) for name in ("type", "name", "processes")),
        "precisions": str(content.get("precision")),
    }


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"its record.json lacks {error.args[0]!r}"
    return "its record.json cannot be read" + (f": {error.strerror}" if isinstance(error, OSError) else "")
