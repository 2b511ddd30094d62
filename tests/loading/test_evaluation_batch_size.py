"""How many rows are evaluated at once."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from tiny_data import model_for, quiet_trainer, small_data

from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.types import Modality
from lit_models import LitRNN

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("shape", "modality", "on_cpu", "elsewhere"),
    [
        ((64,), "table", 1024, 1024),
        ((8, 64), "series", 64, 1024),
        ((1, 64), "series", 64, 1024),
        ((64,), "text", 64, 1024),
        ((1, 28, 28), "image", 83, 1024),
        ((3, 224, 224), "image", 1, 6),
        ((), "table", 1024, 1024),
    ],
)
def test_large_rows_are_evaluated_in_smaller_batches_on_a_cpu(
    shape: tuple[int, ...], modality: Modality, on_cpu: int, elsewhere: int
) -> None:
    assert rows_at_once(shape, modality, CPU) == on_cpu
    assert rows_at_once(shape, modality, GPU) == elsewhere


class Batches(Callback):
    """Rows of each batch that validates."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *more: Any) -> None:
        self.rows.append(len(batch["y"]))


def test_a_run_validates_in_such_batches() -> None:
    data = small_data(torch.randn(1400, 2, 64), torch.arange(1400) % 2, batch_size=32)
    batches = Batches()
    trainer = quiet_trainer(callbacks=[batches])
    trainer.validate(model_for(data, LitRNN, hidden=4), data)
    assert batches.rows == [64, 64, 64, 18]
