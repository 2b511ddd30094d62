"""The folder of a sweep's experiment: what was asked for, who is at it, and how far its runs are."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.run.record.config_diff import Changes, Difference
from experiments.run.record.record_io import AUTO_PRECISIONS, config_of, read_record
from lit_models.errors import ConfigError

OF_ONE_RUN = ("seed_everything", "data.split_seed")
"""Settings in which a combination's runs differ."""

OF_NO_NUMBER = ("model.steps_per_execution", "data.device")
"""Settings of speed alone, which leave every number as it is."""


def settings_that_count(before: str, now: str) -> dict[str, Difference]:
    """The settings in which two configurations, YAML texts, differ, and with them their numbers.

    In what order they stand, those of speed and those that an earlier version did not have yet make no difference.
    """
    differing = Changes.between(before, now).values.items()
    return {key.removesuffix(".class_path"): values for key, values in differing if key not in OF_NO_NUMBER}


@dataclass(frozen=True)
class Folder:
    """``runs/<experiment>/``.

    Args:
        path: The folder.
    """

    path: Path

    def log(self, name: str) -> Path:
        """What a run prints; every session of it, one behind the other."""
        return self.path / ".sweep" / f"{name}.log"

    def record(self, name: str) -> dict[str, Any]:
        """A run's record; empty where it has none, or none that can be read."""
        try:
            return read_record(self.path / name)
        except (OSError, ValueError):
            return {}

    def status(self, name: str) -> str:
        """``new``, or what the record says: ``running`` is a process of this machine that is alive."""
        record = self.record(name)
        elsewhere = record.get("process", {}).get("host") != platform.node()
        status = str(record.get("status", "new"))
        return "interrupted" if status == "running" and elsewhere else status

    def refuse_others(self, name: str, text: str) -> None:
        """Stop where a run of this name is there with other settings than those that are asked for now.

        Args:
            name: The run's.
            text: The configuration of its combination, YAML text.

        Raises:
            ConfigError: With the first setting that differs.
        """
        try:
            before = config_of(self.path / name)
        except OSError:
            return
        # A run's configuration has what auto stood for where it ran.
        # The direction in which a callback watches follows from the metric; a run's own configuration tells it.
        for key, (then, now) in settings_that_count(before, text).items():
            if (
                key in OF_ONE_RUN
                or (key == "trainer.precision" and now == "auto" and then in AUTO_PRECISIONS)
                or (key.startswith("trainer.callbacks.") and key.endswith(".mode"))
            ):
                continue
            raise ConfigError(
                f"{self.path / name} is there with {key} {then}, and this sweep has {now}; "
                "choose another --experiment, or remove that run"
            )

    def note(self, asked: dict[str, Any]) -> None:
        """Add to ``sweep.json`` what a sweep was asked for, unless the same stands there."""
        path = self.path / "sweep.json"
        try:
            sweeps = json.loads(path.read_text())["sweeps"]
        except (OSError, ValueError, KeyError, TypeError):
            sweeps = []
        if asked not in sweeps:
            beside = path.with_suffix(".json.new")
            beside.write_text(json.dumps({"sweeps": [*sweeps, asked]}, indent=2) + "\n")
            os.replace(beside, path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder against a second sweep; the kernel lets go of it when this process ends, however it does.

        Raises:
            ConfigError: Where another sweep is at it, or the folder cannot be made.
        """
        try:
            (self.path / ".sweep").mkdir(parents=True, exist_ok=True)
            held = (self.path / ".sweep" / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written ({error.strerror}); choose another folder") from error
        with held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ConfigError(f"a sweep is at {self.path} already; wait for it, or stop it") from error
            yield
