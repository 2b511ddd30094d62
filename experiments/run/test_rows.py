"""A few test rows as they were ahead of any normalization, kept with the run: what an export is checked on."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules import DataError, DataModule

FILE = "test_rows.safetensors"

MOST_BYTES = 4 << 20
"""All test rows are kept where they are no more than this, else as many as it holds, evenly over all."""


def keep_test_rows(folder: Path, data: DataModule, rows: Tensor) -> None:
    """Write what ``evenhand export`` verifies with once the data are gone.

    Args:
        folder: The run's.
        data: What was tested on.
        rows: Ids of the test rows (N,).
    """
    one = data.unprepared(rows[:1])
    each = sum(tensor.nbytes for tensor in one.values()) + rows.element_size()
    count = max(1, min(len(rows), MOST_BYTES // each))
    some = rows[torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()].cpu()
    tensors = {**data.unprepared(some), "row": some}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / FILE)


def read_test_rows(folder: Path) -> dict[str, Tensor] | None:
    """What was kept: ``row`` (N,) and the tensors of ``DataModule.unprepared``; None where there is no file.

    Raises:
        DataError: For a file that cannot be read.
    """
    if not (folder / FILE).is_file():
        return None
    try:
        return load_file(folder / FILE)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{folder / FILE} cannot be read: {error}; delete it, or test the run again") from error
