"""Processes and devices of a Trainer, and the division of a global batch among them."""

from typing import Any

import torch
from lightning.pytorch import Trainer

from datamodules.errors import DataError


def process_of(trainer: Trainer | None) -> tuple[int, int]:
    """Returns rank and number of processes; (0, 1) without a Trainer."""
    return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)


def device_of(trainer: Trainer | None) -> torch.device:
    """Returns the device that batches are moved to."""
    return trainer.strategy.root_device if trainer else torch.device("cpu")


def accumulated_by(trainer: Trainer | None) -> int:
    """Returns the number of batches whose gradients the Trainer accumulates into one step."""
    return trainer.accumulate_grad_batches if trainer else 1


def order_options(trainer: Trainer | None, shuffle: bool) -> dict[str, Any]:
    """Returns a loader's arguments for this process: rank and processes, and for training seed and accumulation."""
    rank, world_size = process_of(trainer)
    options = {"rank": rank, "world_size": world_size}
    training = {"shuffle": True, "seed": torch.initial_seed(), "accumulate": accumulated_by(trainer)}
    return {**options, **training} if shuffle else options


def check_batch(batch_size: int, devices: int, accumulated: int) -> None:
    """Raises ``DataError`` for a batch that does not divide over devices and accumulated batches, and names two."""
    parts = devices * accumulated
    if batch_size % parts:
        below, above = batch_size // parts * parts, -(-batch_size // parts) * parts
        raise DataError(
            f"--data.batch_size {batch_size} is that of {devices} devices times {accumulated} accumulated batches "
            f"together; choose {f'{below} or ' if below else ''}{above}, a multiple of {parts}"
        )


def check_processes(train_rows: int, processes: int) -> None:
    """Raises ``DataError`` where a process would have no row to train on."""
    if train_rows < processes:
        raise DataError(f"{train_rows} train rows are too few for {processes} processes; use fewer devices")
