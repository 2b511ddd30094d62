"""Gradient norm and memory: logged once an epoch, and training is the same to the last bit without them."""

import copy

import numpy
import pytest
import torch
from tiny_data import model_for, quiet_trainer, small_data

from datamodules import DataModule
from lit_models import LitMLP, LitModel
from lit_models.training.epoch_monitor import EpochMonitor

ROWS = 60


def data(batch_size: int) -> DataModule:
    x = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(0))
    return small_data(x, torch.arange(ROWS) % 3, batch_size=batch_size)


def trained(seed: int, batch_size: int, **kwargs) -> LitModel:
    torch.manual_seed(seed)
    rows = data(batch_size)
    model = model_for(rows, LitMLP, hidden=(8,))
    quiet_trainer(**kwargs).fit(model, rows)
    return model


@pytest.mark.parametrize("batches", [1, 3])
def test_the_norm_is_that_of_the_last_steps_gradients_ahead_of_clipping(batches: int) -> None:
    size = 42 // batches
    wanted = []

    class Watched(LitMLP):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            super().on_before_optimizer_step(optimizer)
            norms = [numpy.linalg.norm(one.grad.numpy()) for one in self.parameters()]
            wanted.append(numpy.linalg.norm(norms))

    rows = data(size)
    trainer = quiet_trainer(max_epochs=2, gradient_clip_val=1e-3)
    trainer.fit(model_for(rows, Watched, hidden=(8,)), rows)
    assert len(wanted) == 2 * batches
    assert float(trainer.callback_metrics["train/gradient_norm"]) == pytest.approx(wanted[-1], rel=1e-6)
    assert wanted[-1] > 1e-2


def test_training_is_the_same_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with_them = copy.deepcopy(trained(3, 10, max_epochs=3).state_dict())
    monkeypatch.delattr(EpochMonitor, "on_before_optimizer_step")
    without = trained(3, 10, max_epochs=3).state_dict()
    assert all(torch.equal(with_them[name], without[name]) for name in without)


def test_an_epoch_that_steps_end_early_has_no_norm() -> None:
    rows = data(10)
    trainer = quiet_trainer(max_steps=2, max_epochs=1)
    trainer.fit(model_for(rows), rows)
    assert "train/gradient_norm" not in trainer.callback_metrics
    assert float(trainer.callback_metrics["train/memory_mib"]) > 100
