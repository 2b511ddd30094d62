"""Reads a run's record, which a killed process could not finish, and its configuration."""

import json
import os
import platform
from pathlib import Path
from typing import Any

AUTO_PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")
"""Values that ``--trainer.precision auto`` becomes in a run's configuration."""


def read_record(path: Path) -> dict[str, Any]:
    """Reads a run's record; an undefined metric is NaN.

    The status of a run whose process is gone from this machine is ``interrupted``: a killed process cannot write it.
    """
    content: dict[str, Any] = json.loads((path / "record.json").read_text())
    process = content.get("process", {})
    is_local = content.get("status") == "running" and process.get("host") == platform.node()
    if is_local and _began(process["pid"]) != process["began"]:
        content["status"] = "interrupted"
    return content


def config_of(path: Path) -> str:
    """Returns the configuration of a run's last start, YAML text."""
    return config_files(path)[-1].read_text()


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
        return "running" if not Path("/proc/self").exists() and _is_alive(pid) else None
    fields = stat.rpartition(")")[2].split()  # behind the name, which may contain anything
    return None if fields[0] == "Z" else f"{boot} {fields[19]}"


def _is_alive(pid: int) -> bool:
    """Returns True if a process exists, for systems without /proc, where a reused number cannot be recognized."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
