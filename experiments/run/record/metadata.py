"""Metadata of a run before its first step, for the record, and a record in a few printed lines."""

import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from datamodules import DataModule
from experiments.run.record.custom_scalars import CURVES
from experiments.run.record.hyperparameters import flat_hyperparameters
from experiments.run.record.record_io import process
from experiments.run.record.run_directory import RunDirectory
from experiments.run.record.training_end import end_sentence
from experiments.terminal import decimal
from lit_models import LitModel

PACKAGES = ("evenhand", "torch", "lightning", "torchmetrics", "jsonargparse", "numpy", "polars")


def identity(device: torch.device, processes: int, precision: str) -> dict[str, Any]:
    """Returns code version, package versions, device and precision as plain values."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "git": _git(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "device": {"type": device.type, "name": name, "processes": processes, "threads": torch.get_num_threads()},
        "precision": precision,
    }


def _git() -> dict[str, Any]:
    """Returns the commit of the running code and whether it was changed since; None outside a repository."""
    folder = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"sha": git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


@cache
def _version(package: str) -> str | None:
    with suppress(PackageNotFoundError):
        return version(package)
    return None


def step_sentence(step: dict[str, Any]) -> str:
    """Returns one line about an optimizer step."""
    factors = [f"{step['devices']} devices"] if step["devices"] > 1 else []
    factors += [f"{step['accumulated']} accumulated batches"] if step["accumulated"] > 1 else []
    rows = step["batch_size"] // (step["devices"] * step["accumulated"])
    division = f", {rows} on each of {' times '.join(factors)}" if factors else ""
    rate = "" if step["learning_rate"] is None else f", learning rate {step['learning_rate']:.3g}"
    return f"a step takes {step['batch_size']} rows{division}{rate}"


def heading(content: dict[str, Any], directory: RunDirectory) -> str:
    """Returns one line about a record to print before the run."""
    rows = ", ".join(f"{count:,} {part}" for part, count in content["rows"].items())
    return (
        f"{content['model']} ({content['parameters']:,} parameters) on {content['data']} ({rows} rows), "
        f"{content['device']['type']}, seed {content['seed']}: {directory.path}"
    )


def summary(content: dict[str, Any], directory: RunDirectory) -> str:
    """Returns the lines about a record to print after the run."""
    measured = content.get("metrics") or content["validation"] or {}
    metrics = "  ".join(f"{name} {decimal(value)}" for name, value in measured.items())
    return (
        f"{directory.run}: {content['parameters']:,} parameters, {content['seconds']:.1f} s\n"
        f"{end_sentence(content)}\n{metrics}\n"
        f"run: {directory.path}\ncurves: tensorboard --logdir {directory.root / directory.experiment}\n"
        f"  train and val first: {CURVES}"
    )


def metadata(
    directory: RunDirectory, config: dict[str, Any], trainer: Trainer, model: LitModel, size: dict[str, int | None]
) -> dict[str, Any]:
    """Returns plain values for the record, once the Trainer has its optimizers.

    ``size`` has the number of trained ``parameters``, and the ``flops`` of one forward pass of one row.
    """
    data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
    return {
        "experiment": directory.experiment,
        "run": directory.run,
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "process": process(os.getpid()),
        "model": type(model).__name__,
        "data": data.data_name,
        "task": data.task,
        "seed": config["seed_everything"],
        "rank_by": f"test/{model.task.rank_by}",
        **size,
        "rows": data.part_rows(),
        "fingerprints": data.fingerprints(),
        "columns": data.column_fingerprints(),
        "notes": [*data.notes, *model.notes, *getattr(model.loss, "notes", ())],
        "hyperparameters": flat_hyperparameters(config),
        "step": {
            "batch_size": data.batch_size,
            "devices": trainer.world_size,
            "accumulated": trainer.accumulate_grad_batches,
            "learning_rate": _learning_rate(trainer),
        },
        **identity(trainer.strategy.root_device, trainer.world_size, str(trainer.precision)),
    }


def _learning_rate(trainer: Trainer) -> float | None:
    """Returns the first optimizer's rate, with model.scale_lr, without a schedule; None if it has no single one."""
    optimizer = next(iter(trainer.optimizers), None)  # a LightningModule of the user's own may have none
    return float(optimizer.defaults["lr"]) if optimizer is not None and "lr" in optimizer.defaults else None
