"""Transform of row ids to batches of normalized images."""

import torch
from torch import Tensor

from datamodules.imaging.augmentation import Augment
from datamodules.imaging.inputs import ImageInputs
from datamodules.loading.base_loader import Batch


class ImageBatches:
    """Selects the images of a batch's rows, augments and normalizes them, on the device of the images.

    Args:
        images: Bytes (N, C, H, W).
        inputs: Preprocessing of images.
        augment: Augmentation; None for evaluation.
    """

    def __init__(self, images: Tensor, inputs: ImageInputs, augment: Augment | None = None) -> None:
        self.images = images
        self.inputs = inputs.on(images.device)
        self.augment = augment
        self.draws = augment.draws if augment else 0

    @property
    def device(self) -> torch.device:
        """Device of the images."""
        return self.images.device

    def __call__(self, batch: Batch, uniform: Tensor) -> Batch:
        """Adds ``x`` (n, C, H, W) float32 to a batch with ``row`` (n,), with random numbers (n, draws)."""
        x = self.images.index_select(0, batch["row"].to(self.images.device))
        if self.augment:
            x = self.augment(x, uniform.to(x.device))
        return {**self.inputs.tensors(x), **batch}
