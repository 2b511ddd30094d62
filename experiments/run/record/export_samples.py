"""A sample of test rows before normalization, kept with the run, on which an export is verified."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from datamodules import DataError, DataModule
from datamodules.regular_file import check_regular
from experiments.run.atomic_write import write_atomically

FILE = "test_rows.safetensors"

MOST_BYTES, MOST_ROWS = 4 << 20, 20_000
"""Limits of the sample; larger test splits are sampled evenly."""


def keep_test_rows(folder: Path, data: DataModule, rows: Tensor) -> list[str]:
    """Writes the sample of test rows, by ids (N,), that an export is verified with; returns notes for the user."""
    try:
        row_bytes = sum(tensor.nbytes for tensor in data.unprepared(rows[:1]).values()) + rows.element_size()
        count = max(1, min(len(rows), MOST_ROWS, MOST_BYTES // row_bytes))
        sample = rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()].cpu()
        save_tensors(folder / FILE, {**data.unprepared(sample), "row": sample})
    except Exception as error:  # a user's data module may raise anything, and the run is finished
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return [f"no test rows were kept to verify an export with: {reason}"]
    return []


def read_test_rows(folder: Path) -> dict[str, Tensor] | None:
    """Reads the sample, ``row`` (N,) and inputs; returns None without a file, raises DataError for a damaged one."""
    if not (folder / FILE).is_file():
        return None
    check_regular(folder / FILE)
    try:
        return load_file(folder / FILE)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder / FILE} cannot be read: {error}; delete it, or test the run again") from error


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes tensors as safetensors, with the permissions of the folder."""
    write_atomically(path, save({name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}))
