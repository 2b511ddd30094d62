"""What makes a run this run: code, versions, device, seed."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("evenhand", "torch", "lightning", "torchmetrics", "jsonargparse", "numpy", "polars")


def identity(device: torch.device, processes: int, precision: str) -> dict[str, Any]:
    """Plain values for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "git": _git(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "device": {
            "type": device.type,
            "name": name,
            "processes": processes,
            "threads": torch.get_num_threads(),
        },
        "precision": precision,
    }


def _git() -> dict[str, Any]:
    """The commit of the code that runs and whether it was changed since; nulls outside a repository."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"sha": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
