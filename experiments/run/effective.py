"""The batch and the rate of an optimizer's step, as they really are."""

from typing import Any

from lightning.pytorch import Trainer

from datamodules import DataModule


def effective(trainer: Trainer) -> dict[str, Any]:
    """Plain values for the record: rows of a step, on how many devices and in how many pieces, and the rate.

    The rate is the optimizer's own, scaled where ``model.scale_lr`` says so, ahead of any schedule.
    """
    data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
    return {
        "batch_size": data.batch_size,
        "devices": trainer.world_size,
        "accumulated": trainer.accumulate_grad_batches,
        "learning_rate": float(trainer.optimizers[0].defaults["lr"]),
    }


def in_words(step: dict[str, Any]) -> str:
    """The same in one line."""
    parts = step["devices"] * step["accumulated"]
    ways = [f"{step['devices']} devices"] if step["devices"] > 1 else []
    ways += [f"{step['accumulated']} accumulated batches"] if step["accumulated"] > 1 else []
    share = f", {step['batch_size'] // parts} on each of {' times '.join(ways)}" if ways else ""
    return f"a step takes {step['batch_size']} rows{share}, learning rate {step['learning_rate']:.3g}"
