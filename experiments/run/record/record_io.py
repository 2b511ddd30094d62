"""Reads a run's record, which a killed process could not finish, and its configuration."""

import json
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from datamodules.regular_file import check_regular
from experiments.safe_yaml import check_text, read_text
from lit_models.errors import ConfigError

AUTO_PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")
"""Values that ``--trainer.precision auto`` becomes in a run's configuration."""


def read_record(path: Path) -> dict[str, Any]:
    """Reads a run's record; an undefined metric is NaN.

    The status of a run whose process is gone from this machine is ``interrupted``: a killed process cannot write it.
    Raises OSError for a record that cannot be read, ConfigError for a damaged one.
    """
    content = _read_json(path / "record.json")
    process = content.get("process")
    process = process if isinstance(process, dict) else {}
    is_local = content.get("status") == "running" and process.get("host") == platform.node()
    if is_local and (not isinstance(process.get("pid"), int) or _began(process["pid"]) != process.get("began")):
        content["status"] = "interrupted"
    return content


def _read_json(file: Path) -> dict[str, Any]:
    check_regular(file)
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is damaged: {error}; restore it, or train the run again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file} is damaged: it holds no record; restore it, or train the run again")
    return content


def config_of(path: Path) -> str:
    """Returns the configuration of a run's last start, YAML text.

    Raises OSError if it cannot be read, ConfigError if it is no YAML in UTF-8 or beyond the limits of ``safe_yaml``.
    """
    file = config_file(path)
    text = read_text(file)
    try:
        check_text(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is no configuration of a run: {error}; restore it, or train again") from error
    return text


def config_file(path: Path) -> Path:
    """Returns the configuration that a run's record names; the newest one for a record of an earlier version."""
    files = config_files(path)
    try:
        name = _read_json(path / "record.json").get("config")
    except (OSError, ConfigError):
        name = None
    return next((file for file in files if file.name == name), files[-1])


def config_files(path: Path) -> list[Path]:
    """Returns ``config.yaml`` of a run's folder and the ``config-N.yaml`` of later starts with changed settings."""
    files = {file.stem.partition("-")[2]: file for file in path.glob("config-*.yaml")}
    numbered = {int(number): file for number, file in files.items() if number.isdecimal()}
    return [path / "config.yaml", *(numbered[number] for number in sorted(numbered))]


def process(pid: int) -> dict[str, Any]:
    """Returns plain values that identify a process, also among later ones with its number."""
    return {"host": platform.node(), "pid": pid, "began": _began(pid)}


def _began(pid: int) -> str | None:
    """Returns the start time of a process in clock ticks since boot; None without such a process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        if not Path("/proc/self").exists():  # where a reused number cannot be recognized
            with suppress(OSError):
                os.kill(pid, 0)
                return "running"
        return None
    fields = stat.rpartition(")")[2].split()  # behind the name, which may contain anything
    return None if fields[0] == "Z" else f"{boot} {fields[19]}"
