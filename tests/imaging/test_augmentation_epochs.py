"""Augmentation draws anew in every epoch: a function of the seed, the epoch and the row's position in it."""

from itertools import combinations

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import Augment, ImageData

ROWS, SIDE = 60, 6
AUGMENTS = {
    "flip": Augment(flip=0.5),
    "crop": Augment(crop=2),
    "jitter": Augment(jitter=0.5),
    "erase": Augment(erase=0.9),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Copies of one image, so that batches differ by their augmentation alone, whatever the order of the rows."""
    image = numpy.random.default_rng(0).integers(1, 256, (1, SIDE, SIDE), dtype=numpy.uint8)
    file = tmp_path_factory.mktemp("images") / "images.npz"
    numpy.savez(file, x=numpy.repeat(image, ROWS, axis=0), y=numpy.arange(ROWS) % 2)
    return str(file)


def pixels(data: ImageData, seed: int, epoch: int) -> torch.Tensor:
    """All train batches of an epoch."""
    torch.manual_seed(seed)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return torch.cat([batch["x"] for batch in loader])


@pytest.mark.parametrize("change", AUGMENTS)
@settings(QUICK, max_examples=10)
@given(seed=st.integers(0, 2**40), epochs=st.lists(st.integers(0, 500), min_size=3, max_size=3, unique=True))
def test_every_epoch_changes_the_images_differently(path: str, change: str, seed: int, epochs: list[int]) -> None:
    data = ImageData(path, augment=AUGMENTS[change], duplicates="ignore", batch_size=16, normalize="none")
    data.setup("fit")
    by_epoch = {epoch: pixels(data, seed, epoch) for epoch in epochs}
    for epoch, another in combinations(epochs, 2):
        assert not torch.equal(by_epoch[epoch], by_epoch[another]), (epoch, another)
    assert torch.equal(pixels(data, seed, epochs[0]), by_epoch[epochs[0]])
    assert not torch.equal(pixels(data, seed + 1, epochs[0]), by_epoch[epochs[0]])
