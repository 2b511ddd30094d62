"""What a data module has to know of the devices that train: their number, its own place, and how batches divide."""

import torch
from lightning.pytorch import Trainer

from datamodules.errors import DataError


def process_of(trainer: Trainer | None) -> tuple[int, int]:
    """Which process this is, and of how many; the only one without a Trainer."""
    return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)


def device_of(trainer: Trainer | None) -> torch.device:
    """Where the batches are going."""
    return trainer.strategy.root_device if trainer else torch.device("cpu")


def accumulated_by(trainer: Trainer | None) -> int:
    """Batches whose gradients the Trainer accumulates into one step."""
    return trainer.accumulate_grad_batches if trainer else 1


def check_batch(batch_size: int, devices: int, accumulated: int) -> None:
    """Raise ``DataError`` for a batch that does not divide over devices and accumulated batches, with ones that do."""
    parts = devices * accumulated
    if batch_size % parts:
        below, above = batch_size // parts * parts, -(-batch_size // parts) * parts
        raise DataError(
            f"--data.batch_size {batch_size} is that of {devices} devices times {accumulated} accumulated batches "
            f"together; choose {f'{below} or ' if below else ''}{above}, a multiple of {parts}"
        )


def check_processes(train_rows: int, processes: int) -> None:
    """Raise ``DataError`` where a process would have no row to train on."""
    if train_rows < processes:
        raise DataError(f"{train_rows} train rows are too few for {processes} processes; use fewer devices")
