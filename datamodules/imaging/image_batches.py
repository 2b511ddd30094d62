"""From row numbers to batches of normalized images."""

import torch
from torch import Tensor

from datamodules.imaging.augmentation import Augment
from datamodules.imaging.inputs import ImageInputs
from datamodules.loading.base_loader import Batch


class ImageBatches:
    """Picks the images of a batch's rows, changes them at random where asked, and normalizes them.

    The images themselves stay bytes, and what is made of them is made where they are.

    Args:
        images: Bytes (N, C, H, W).
        inputs: What normalizes them.
        augment: Random changes; None for evaluation.
    """

    def __init__(self, images: Tensor, inputs: ImageInputs, augment: Augment | None = None) -> None:
        self.images = images
        self.inputs = inputs.on(images.device)
        self.augment = augment
        self.draws = augment.draws if augment else 0

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.images.device

    def __call__(self, batch: Batch, uniform: Tensor) -> Batch:
        """Add ``x`` (n, C, H, W) float32 to a batch with ``row`` (n,), by random numbers (n, draws)."""
        x = self.images.index_select(0, batch["row"].to(self.images.device))
        if self.augment:
            x = self.augment(x, uniform.to(x.device))
        return {**self.inputs.tensors(x), **batch}
