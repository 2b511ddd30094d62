"""Gradient norm and memory: logged once an epoch, and training is the same to the last bit without them."""

import copy
from typing import Any

import numpy
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from tiny_data import model_for, quiet_trainer, small_data

from datamodules import InMemoryData
from lit_models import ConfigError, LitMLP, LitModel
from lit_models.training.epoch_monitor import EpochMonitor

ROWS = 60


def data(batch_size: int) -> InMemoryData:
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


def test_one_trainer_fits_twice_and_tests_with_one_monitor(caplog: pytest.LogCaptureFixture) -> None:
    rows = data(10)
    model, trainer = model_for(rows), quiet_trainer(max_epochs=1)
    trainer.validate(model, rows, verbose=False)
    assert not any(isinstance(callback, EpochMonitor) for callback in trainer.callbacks)
    trainer.fit(model, rows)
    first = dict(trainer.callback_metrics)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model, rows)
    trainer.test(model, rows, verbose=False)
    assert [callback for callback in trainer.callbacks if isinstance(callback, EpochMonitor)] == [model.epoch_monitor]
    assert "train/loss" in first
    assert "override existing callbacks" not in caplog.text


def test_a_model_with_callbacks_of_its_own_is_still_monitored() -> None:
    class Own(LitMLP):
        def configure_callbacks(self) -> list[Callback]:
            return [*super().configure_callbacks(), EarlyStopping("val/loss")]

    rows = data(10)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model_for(rows, Own, hidden=(8,)), rows)
    assert {"train/loss", "train/lr", "train/rows_per_second"} <= trainer.callback_metrics.keys()


def test_callbacks_without_the_models_own_are_refused() -> None:
    class Own(LitMLP):
        def configure_callbacks(self) -> list[Callback]:
            return [EarlyStopping("val/loss")]

    rows = data(10)
    with pytest.raises(ConfigError, match=r"Own.configure_callbacks leaves out the model's own"):
        quiet_trainer(max_epochs=1).fit(model_for(rows, Own, hidden=(8,)), rows)


def test_an_interrupted_epoch_continues_its_sums() -> None:
    """``epoch_so_far`` is the key under which earlier checkpoints have them."""
    rows = data(10)
    trainer = quiet_trainer(max_epochs=1)
    model = model_for(rows, LitMLP, hidden=(8,))
    trainer.fit(model, rows)
    model.epoch_monitor.add(torch.tensor(3.0), 4)
    saved: dict[str, Any] = {}
    model.epoch_monitor.on_save_checkpoint(trainer, model, saved)
    monitor = EpochMonitor()
    monitor.on_load_checkpoint(trainer, model, saved)
    again: dict[str, Any] = {}
    monitor.on_save_checkpoint(trainer, model, again)
    for name in ("loss_sum", "rows"):
        assert torch.equal(saved["epoch_so_far"][name], again["epoch_so_far"][name])
    assert saved["epoch_so_far"]["rows"].item() == 42 + 4
