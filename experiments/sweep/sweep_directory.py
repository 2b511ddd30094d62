"""The folder of a sweep's experiment: its commands, its lock, and the status of its runs."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.compare.configuration_identity import has_effect
from experiments.run.atomic_write import write_json
from experiments.run.record.config_diff import Changes, Difference
from experiments.run.record.record_io import AUTO_PRECISIONS, config_of, read_record
from lit_models.errors import ConfigError

OF_ONE_RUN = ("seed_everything", "data.split_seed")
"""Settings that differ between the runs of a combination."""

PATHS = ("data.path", "data.val_path", "data.test_path")


def metric_settings(before: str, now: str) -> dict[str, Difference]:
    """Returns the differing settings of two configurations, YAML texts, that may change metrics.

    Order, another path of the same file, and settings that an earlier version did not have make no difference.
    """
    differing = {key.removesuffix(".class_path"): each for key, each in Changes.between(before, now).values.items()}
    return {
        key: each
        for key, each in differing.items()
        if (os.path.realpath(str(each[0])) != os.path.realpath(str(each[1])) if key in PATHS else has_effect(key))
    }


@dataclass(frozen=True)
class Folder:
    """``runs/<experiment>/``."""

    path: Path

    def log(self, name: str) -> Path:
        """Returns the path of a run's output, one session after the other."""
        return self.path / ".sweep" / f"{name}.log"

    def record(self, name: str) -> dict[str, Any]:
        """Returns a run's record; empty without a readable one."""
        try:
            return read_record(self.path / name)
        except (OSError, ValueError):
            return {}

    def status(self, name: str) -> str:
        """Returns ``new``, or the status in the record; ``running`` is a living process of this machine."""
        record = self.record(name)
        elsewhere = record.get("process", {}).get("host") != platform.node()
        status = str(record.get("status", "new"))
        return "interrupted" if status == "running" and elsewhere else status

    def refuse_others(self, name: str, text: str, fold: int | None = None) -> None:
        """Raises a ConfigError for a run that exists with other settings than its combination's YAML text and fold."""
        try:
            before = config_of(self.path / name)
        except OSError:
            return
        # A run's own configuration has auto precision and the directions of callbacks filled in.
        for key, (then, now) in metric_settings(before, text).items():
            if (
                key in OF_ONE_RUN
                or (key == "data.fold" and then == fold)
                or (key == "trainer.precision" and now == "auto" and then in AUTO_PRECISIONS)
                or (key.startswith("trainer.callbacks.") and key.endswith(".mode"))
            ):
                continue
            raise ConfigError(
                f"{self.path / name} is there with {key} {then}, and this sweep has {now}; "
                "choose another --experiment, or remove that run"
            )

    def add_sweep(self, sweep: dict[str, Any]) -> None:
        """Adds a sweep to ``sweep.json``, unless it is there."""
        path = self.path / "sweep.json"
        try:
            sweeps = json.loads(path.read_text())["sweeps"]
        except (OSError, ValueError, KeyError, TypeError):
            sweeps = []
        if sweep not in sweeps:
            write_json(path, {"sweeps": [*sweeps, sweep]})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder against a second sweep; the kernel unlocks it when this process ends.

        Raises:
            ConfigError: If another sweep has the lock, or the folder cannot be made.
        """
        try:
            (self.path / ".sweep").mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".sweep" / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written ({error.strerror}); choose another folder") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(f"a sweep is at {self.path} already; wait for it, or stop it") from error
            yield
