"""``train/loss`` is the mean over the epoch's rows, also where the last batch is smaller, against scikit-learn."""

from functools import partial

import numpy
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from tiny_data import model_for, quiet_trainer, small_data
from torch.optim import SGD

ROWS = 100  # 70 of them train
FROZEN = {"optimizer": partial(SGD, lr=0.0)}
"""With a rate of 0 the loss of every batch is that of the same weights."""


def rows(generator: torch.Generator) -> torch.Tensor:
    """Rows of very different norms, and so of very different losses."""
    scale = torch.logspace(-1, 1, ROWS)[torch.randperm(ROWS, generator=generator)]
    return torch.randn(ROWS, 3, generator=generator) * scale.unsqueeze(1)


@pytest.mark.parametrize("batch_size", [8, 16, 33, 68])  # the last of them has 6, 6, 4 and 2 rows
@pytest.mark.parametrize("steps_per_execution", [1, 3])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_train_loss_is_the_mean_over_rows(task: str, batch_size: int, steps_per_execution: int) -> None:
    generator = torch.Generator().manual_seed(batch_size)
    x = rows(generator)
    y = torch.arange(ROWS) % 3 if task == "multiclass" else x[:, 0] ** 2
    data = small_data(x, y, task, batch_size=batch_size, normalize="none")
    torch.manual_seed(batch_size)
    model = model_for(data, steps_per_execution=steps_per_execution, **FROZEN)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    train = data.part("train")
    with torch.no_grad():
        outputs = model(train["x"]).double()
    if task == "multiclass":
        expected = log_loss(train["y"].numpy(), outputs.softmax(dim=1).numpy(), labels=numpy.arange(3))
    else:
        center, scale = data.target_statistics.buffers()
        target = (train["y"].double().view(-1, 1) - center) / scale
        expected = mean_squared_error(target.numpy(), outputs.numpy())
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(expected, rel=1e-4)
