"""What is known of a run before its first step, as the record has it."""

import os
from datetime import UTC, datetime
from typing import Any

from lightning.pytorch import Trainer

from datamodules import DataModule
from experiments.run.directory import RunDirectory
from experiments.run.effective import effective
from experiments.run.hyperparameters import flat_hyperparameters
from experiments.run.identity import identity
from experiments.run.reading import process
from lit_models import LitModel


def known(
    directory: RunDirectory, config: dict[str, Any], trainer: Trainer, model: LitModel, parameters: int
) -> dict[str, Any]:
    """Plain values for the record.

    Args:
        directory: The run's.
        config: As it runs.
        trainer: With its optimizers made.
        model: What is trained.
        parameters: Numbers that it learns.
    """
    data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
    return {
        "experiment": directory.experiment,
        "run": directory.run,
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "process": process(os.getpid()),
        "model": type(model).__name__,
        "data": type(data).__name__,
        "task": data.task,
        "seed": config["seed_everything"],
        "rank_by": f"test/{model.task.rank_by}",
        "parameters": parameters,
        "rows": data.part_rows(),
        "fingerprints": data.fingerprints(),
        "notes": list(data.notes),
        "hyperparameters": flat_hyperparameters(config),
        "step": effective(trainer),
        **identity(trainer.strategy.root_device, trainer.world_size, str(trainer.precision)),
    }
