"""Rows are on the training device where they fit, and batches are pinned where they do not.

Without a CUDA device the "meta" device stands for it: tensors have a place and a shape there, and no values.
"""

import time
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from lightning.pytorch import Trainer
from tiny_data import model_for, quiet_trainer, small_data

from datamodules import ImageData, InMemoryData
from datamodules.imaging.augmentation import Augment
from datamodules.loading import device_placement
from datamodules.loading.tensor_loader import TensorLoader
from lit_models import LitMLP

META = torch.device("meta")


def columns(rows: int) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(rows, 3), "row": torch.arange(rows)}  # 20 bytes a row


@pytest.mark.parametrize(
    ("place", "free", "device"),
    [("auto", 4000, "meta"), ("auto", 3999, "cpu"), ("cpu", 10**9, "cpu")],
)
def test_rows_are_on_the_device_where_they_take_no_more_than_half_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, place: Any, free: int, device: str
) -> None:
    monkeypatch.setattr(device_placement, "free_memory", lambda device: free)
    there = device_placement.placed(columns(100), place, META)
    assert {column.device.type for column in there.values()} == {device}


def test_on_a_cpu_nothing_is_copied() -> None:
    here = columns(10)
    assert device_placement.placed(here, "auto", torch.device("cpu")) is here
    assert device_placement.pinned(here, torch.device("cpu")) is here


def test_batches_are_sliced_where_the_rows_are() -> None:
    there = {name: column.to(META) for name, column in columns(10).items()}
    batches = list(TensorLoader(there, 4, shuffle=True))
    assert [tuple(batch["x"].shape) for batch in batches] == [(4, 3), (4, 3), (2, 3)]
    assert all(column.device == META for batch in batches for column in batch.values())


def test_a_loader_of_each_part_is_told_where_its_batches_go(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data(torch.randn(60, 4), torch.arange(60) % 3)
    data.setup("fit")
    devices = []
    monkeypatch.setattr(device_placement, "free_memory", lambda device: devices.append(device) or 10**6)
    monkeypatch.setattr("datamodules.in_memory.device_of", lambda trainer: META)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        assert loader.device == META  # type: ignore[attr-defined]
        assert loader.tensors["x"].device == META  # type: ignore[attr-defined]
    assert devices == [META] * 3
    data.device = "cpu"
    assert data.train_dataloader().tensors["x"].device.type == "cpu"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("normalize", "free", "there"), [("standard", 10**6, True), ("standard", 999, False), ("quantile", 10**6, False)]
)
def test_images_wait_on_the_device_as_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, normalize: Any, free: int, there: bool
) -> None:
    images = numpy.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=numpy.uint8)
    numpy.savez(tmp_path / "images.npz", images=images, labels=numpy.arange(40) % 2)
    augment = Augment(flip=0.5, crop=1, jitter=0.1)
    data = ImageData(str(tmp_path / "images.npz"), batch_size=8, normalize=normalize, augment=augment)
    data.setup("fit")
    monkeypatch.setattr(device_placement, "free_memory", lambda device: free)
    for module in ("datamodules.in_memory", "datamodules.imaging.pixel_data"):
        monkeypatch.setattr(f"{module}.device_of", lambda trainer: META)
    for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        for batch in loader:
            assert batch["x"].shape[1:] == (3, 6, 5)
            assert {batch[name].is_meta for name in ("x", "y", "row")} == {there}


def test_the_length_of_an_epoch_is_known_without_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data(torch.randn(61, 4), torch.arange(61) % 3, batch_size=8)
    data.setup("fit")
    expected = len(data.train_dataloader())
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryData, "part", None)  # whose rows would be prepared
        assert data.train_batches() == expected == 6
    twice = lambda self, name: {key: one.repeat_interleave(2, 0) for key, one in InMemoryData.part(self, name).items()}  # noqa: E731
    monkeypatch.setattr(type(data), "part", twice)
    assert data.train_batches() == len(data.train_dataloader()) == 11


def test_changes_of_a_persons_own_need_not_say_where_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Doubled:
        draws = 0

        def __call__(self, batch: dict[str, torch.Tensor], uniform: torch.Tensor) -> dict[str, torch.Tensor]:
            return {**batch, "x": 2 * batch["x"]}

    data = small_data(torch.ones(60, 4), torch.arange(60) % 3, normalize="none")
    data.setup("fit")
    monkeypatch.setattr(data, "transform", lambda part: Doubled())
    assert all(bool((batch["x"] == 2).all()) for batch in data.train_dataloader())


def gpu_trainer(**kwargs: Any) -> Trainer:
    return Trainer(
        accelerator="gpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, **kwargs,
    )  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("place", ["auto", "cpu"])
def test_both_places_train_the_same(place: Any) -> None:
    results = []
    for where in ("auto", place):
        torch.manual_seed(0)
        data = small_data(torch.randn(6000, 64), torch.arange(6000) % 3, device=where, batch_size=64)
        model = model_for(data, LitMLP, dropout=0.0, steps_per_execution=7)
        trainer = gpu_trainer(max_epochs=2)
        trainer.fit(model, data)
        loader = trainer.train_dataloader
        batch = next(iter(loader))
        assert batch["x"].is_cuda == (where == "auto")
        assert batch["x"].is_cuda or batch["x"].is_pinned()
        results.append({name: value.cpu() for name, value in model.state_dict().items()})
    for name, value in results[0].items():
        torch.testing.assert_close(value, results[1][name], msg=name)


@pytest.mark.gpu
def test_metrics_on_the_device_are_those_of_the_cpu() -> None:
    data = small_data(torch.randn(3000, 16), torch.arange(3000) % 3)
    model = model_for(data, LitMLP)
    on_cpu = quiet_trainer().validate(model, data, verbose=False)[0]
    on_gpu = gpu_trainer().validate(model, data, verbose=False)[0]
    for name, value in on_cpu.items():
        assert on_gpu[name] == pytest.approx(value, abs=1e-4), name


@pytest.mark.gpu
def test_a_copy_from_pinned_memory_is_not_waited_for() -> None:
    device = torch.device("cuda")
    batch = device_placement.pinned({"x": torch.zeros(1 << 26)}, device)
    torch.cuda.synchronize()
    began = time.perf_counter()
    batch["x"].to(device, non_blocking=True)
    returned = time.perf_counter() - began
    torch.cuda.synchronize()
    assert returned < (time.perf_counter() - began) / 2
