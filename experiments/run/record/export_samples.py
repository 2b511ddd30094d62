"""A few test rows as they were ahead of any normalization, kept with the run: what an export is checked on."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from datamodules import DataError, DataModule
from datamodules.regular_file import check_regular

FILE = "test_rows.safetensors"

MOST_BYTES, MOST_ROWS = 4 << 20, 20_000
"""All test rows are kept where they are no more than this, else as many as that, evenly over all."""


def keep_test_rows(folder: Path, data: DataModule, rows: Tensor) -> list[str]:
    """Write what ``evenhand export`` verifies with once the data are gone.

    Args:
        folder: The run's.
        data: What was tested on.
        rows: Ids of the test rows (N,).

    Returns:
        What a person should know.
    """
    try:
        _keep(folder / FILE, data, rows)
    except Exception as error:  # a data module of a person's own fails in every way there is, and the run is done
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return [f"no test rows were kept to verify an export with: {reason}"]
    return []


def read_test_rows(folder: Path) -> dict[str, Tensor] | None:
    """What was kept: ``row`` (N,) and the tensors of ``DataModule.unprepared``; None where there is no file.

    Raises:
        DataError: For a file that cannot be read.
    """
    if not (folder / FILE).is_file():
        return None
    check_regular(folder / FILE)
    try:
        return load_file(folder / FILE)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder / FILE} cannot be read: {error}; delete it, or test the run again") from error


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, for all to read whom the folder is open to."""
    path.write_bytes(save({name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}))


def _keep(path: Path, data: DataModule, rows: Tensor) -> None:
    one = data.unprepared(rows[:1])
    each = sum(tensor.nbytes for tensor in one.values()) + rows.element_size()
    count = max(1, min(len(rows), MOST_ROWS, MOST_BYTES // each))
    some = rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()].cpu()
    tensors = {**data.unprepared(some), "row": some}
    save_tensors(path, tensors)
