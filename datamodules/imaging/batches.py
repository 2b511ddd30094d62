"""From row numbers to batches of normalized images."""

from torch import Tensor

from datamodules.imaging.augmentation import Augment
from datamodules.loaders import Batch
from datamodules.normalization import Normalizer


class ImageBatches:
    """Picks the images of a batch's rows, changes them at random where asked, and normalizes them.

    The images themselves stay bytes in memory and are never copied as a whole.

    Args:
        images: Bytes (N, C, H, W).
        normalizer: What was learned of the train rows.
        augment: Random changes; None for evaluation.
    """

    def __init__(self, images: Tensor, normalizer: Normalizer, augment: Augment | None = None) -> None:
        self.images = images
        self.normalizer = normalizer
        self.augment = augment
        self.draws = augment.draws if augment else 0

    def __call__(self, batch: Batch, uniform: Tensor) -> Batch:
        """Add ``x`` (n, C, H, W) float32 to a batch with ``row`` (n,), by random numbers (n, draws)."""
        x = self.images[batch["row"]]
        if self.augment:
            x = self.augment(x, uniform)
        return {"x": self.normalizer.apply(x), **batch}
