"""Finds runs in folders, and loads the records of finished ones."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from experiments import safe_yaml
from experiments.compare.configuration_identity import REPEATS, effective
from experiments.run.record.hyperparameters import Setting, flat_settings, nullable_settings
from experiments.run.record.record_io import config_of, read_record
from lit_models.errors import ConfigError

WHY_NOT = {
    "running": "is still running",
    "interrupted": "was interrupted; the same fit command goes on with it",
    "diverged": "diverged; its divergence.json says where",
    "failed": "failed",
    "untested": "was not tested; a search tests its choice alone",
}
"""Reasons by each status but ``finished``."""


class Unusable(Exception):  # noqa: N818  # a run is unusable, which is no error
    """A run cannot be compared; the message is the reason, to be read after the run's name."""


AS_RUN = ("trainer.accelerator", "trainer.devices", "trainer.precision")
"""Options whose values are those that ``auto`` became."""


@dataclass(frozen=True)
class Columns:
    """Columns of a table that a run was trained on."""

    target: tuple[str, ...]
    inputs: tuple[str, ...]
    cells: dict[str, str]  # fingerprint of the cells of each column of the file, dropped ones too

    @staticmethod
    def of(content: dict[str, Any]) -> "Columns | None":
        """Returns the columns of a record; None in one of an earlier version, or of rows without columns."""
        columns = content.get("columns")
        if not columns:
            return None
        target, inputs = (tuple(map(str, columns[name])) for name in ("target", "inputs"))
        return Columns(target, inputs, {str(name): str(cells) for name, cells in columns["cells"].items()})


@dataclass(frozen=True, eq=False)
class Run:
    """Record of a finished run, as far as a comparison needs it."""

    path: Path
    settings: dict[str, Setting]  # all options as they ran, flat, by their names on the command line
    data: str
    task: str
    rank_by: str  # the metric that ranks runs of this task, without test/
    fingerprints: tuple[str, str]  # SHA-256 of the data and of the split
    rows: dict[str, int]  # number of rows of train and test
    parameters: int
    seconds: float
    metrics: dict[str, float]  # as recorded of the test rows, without test/; NaN where undefined
    identity: dict[str, str]  # commit, device and precision, as text
    started: str  # in ISO 8601
    is_deterministic: bool = False  # a baseline with the same result for any seed
    columns: Columns | None = None
    checks: dict[str, str] = field(default_factory=dict)  # findings of method by their kind
    threshold: float = 0.5  # probability above which a row of a binary task is of class 1
    command: str = ""  # that was typed; empty in a record without one
    flops: int | None = None  # of one forward pass of one row; None where they were not counted
    same_rows: str = ""  # fingerprint of data with the same rows and targets, of the first of such runs

    @property
    def name(self) -> str:
        """``experiment/run``, the last two folders of the path."""
        return "/".join(self.path.parts[-2:])

    @cached_property
    def configuration(self) -> dict[str, str]:
        """Options that identify the run among others, see ``effective``."""
        return effective(self.settings)

    @property
    def rows_fingerprint(self) -> str:
        """Equal for runs of the same rows and targets, whatever their input columns are."""
        return self.same_rows or self.fingerprints[0]

    @property
    def split(self) -> str:
        """Fingerprint of the split."""
        return self.fingerprints[1]


@dataclass(frozen=True)
class LeftOut:
    """A run that is not compared, and the reason."""

    path: Path
    reason: str


def read_runs(paths: Iterable[Path]) -> tuple[list[Run], list[LeftOut]]:
    """Loads every run at or below the paths, each once, sorted by path.

    Raises:
        ConfigError: For a path that does not exist, or if there is no run at all.
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
    """Yields the folders at or below a path that have a record, or an incomplete one."""
    if not path.is_dir():
        raise ConfigError(f"there is no folder {path}; give folders of runs, of experiments, or their root")
    for folder, below, files in os.walk(path):
        if {"record.json", "record.json.new"} & {*files}:
            below.clear()
            yield Path(folder)
        below[:] = [name for name in below if not name.startswith(".")]  # a run that is about to be published


def read_run(folder: Path) -> Run:
    """Loads the record of a run.

    Raises:
        Unusable: If the run is not finished.
    """
    if not (folder / "record.json").exists():
        raise Unusable("its record was never completely written")
    content = read_record(folder)
    status = content["status"]
    if status != "finished":
        raise Unusable(WHY_NOT.get(str(status), f"has the unknown status {str(status)[:40]!r}"))
    settings = _settings(folder, content)
    if not all(isinstance(value, Setting) for value in settings.values()):
        raise TypeError
    device = content.get("device") or {}
    return Run(
        path=folder,
        settings={"model": str(content["model"])} | settings,
        data=str(content["data"]),
        task=str(content["task"]),
        rank_by=content["rank_by"].removeprefix("test/"),
        fingerprints=(str(content["fingerprints"]["data"]), str(content["fingerprints"]["split"])),
        rows={split: int(content["rows"][split]) for split in ("train", "test")},
        parameters=int(content["parameters"]),
        seconds=float(content["seconds"]),
        metrics={name.removeprefix("test/"): float(value) for name, value in content["metrics"].items()},
        identity={
            "commits": str((content.get("git") or {}).get("sha"))[:10],
            "devices": " ".join(str(device.get(name)) for name in ("type", "name", "processes")),
            "precisions": str(content.get("precision")),
        },
        started=str(content["started"]),
        is_deterministic=content.get("deterministic") is True,
        columns=Columns.of(content),
        checks={str(kind): str(finding) for kind, finding in (content.get("checks") or {}).items()},
        threshold=threshold_of(content),
        command=str(content.get("command") or ""),
        flops=None if content.get("flops") is None else int(content["flops"]),
    )


def threshold_of(content: dict[str, Any]) -> float:
    """Returns the decision threshold of a record; 0.5 without one."""
    return float(((content.get("decisions") or {}).get("rule") or {}).get("threshold", 0.5))


def once_per_seed(runs: Iterable[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Keeps the newest of runs that have every option and the seed in common: a copy of a run adds no evidence.

    Runs without a seed are repetitions, unless they began and took time alike.
    """
    runs = list(runs)
    newest: dict[tuple[Any, ...], Run] = {}
    for run in sorted(runs, key=lambda run: run.started):
        repeats = [str(run.settings.get(name)) for name in REPEATS]
        seed = run.settings.get("seed")
        unseeded = (run.started, run.seconds) if seed is None or seed is False else ()
        options = sorted(run.configuration.items())
        newest[(run.task, run.rank_by, run.fingerprints, *repeats, *unseeded, *options)] = run
    kept = {*newest.values()}
    older = [LeftOut(run.path, "has the settings and the seed of a newer run") for run in runs if run not in kept]
    return [run for run in runs if run in kept], older


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the ``config.yaml`` of a run; empty without one.

    Raises:
        Unusable: If it cannot be read.
    """
    try:
        config: dict[str, Any] = safe_yaml.load(config_of(folder))
        nullable_settings(config)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise Unusable("its config.yaml cannot be read") from error
    return config


def _settings(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of a run, also of one whose record has only some and its ``config.yaml`` the others."""
    settings = {str(name): value for name, value in content["hyperparameters"].items()}
    if not any(name.startswith("trainer.") for name in settings):
        settings |= flat_settings(read_config(folder))
    device = content.get("device") or {}
    ran = zip(AS_RUN, (device.get("type"), device.get("processes"), content.get("precision")), strict=True)
    settings |= {name: value for name, value in ran if value is not None}
    for resumption in content.get("resumed") or ():
        for name, (before, _) in resumption["changed"].items():
            settings[f"until step {resumption['step']}.{name.replace('.class_path', '')}"] = str(before)
    return settings


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"its record.json lacks {error.args[0]!r}"
    return "its record.json cannot be read" + (f": {error.strerror}" if isinstance(error, OSError) else "")
