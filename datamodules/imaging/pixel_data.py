"""Base class of images in memory."""

from dataclasses import asdict
from math import prod
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.imaging.augmentation import Augment
from datamodules.imaging.decoding import Channels
from datamodules.imaging.inputs import ImageInputs
from datamodules.imaging.pixel_statistics import count_levels, learn_levels
from datamodules.in_memory import InMemoryData
from datamodules.loading.base_loader import Batch, Transform
from datamodules.loading.device_placement import placed
from datamodules.loading.global_batch import device_of
from datamodules.preprocessing.normalization import Quantiles
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.raw_data import Rows
from datamodules.tables.targets import Target, check_train_targets

BLOCK_ROWS = 256
"""Images that are summed at a time, since torch converts each byte to eight."""


class PixelData(InMemoryData):
    """Images of one size, one byte a pixel and channel, which a subclass passes to ``take`` in its constructor.

    They stay bytes: each batch is normalized when it is loaded, by each channel's statistics over the train rows.

    Args:
        augment: Augmentation of training batches, see ``Augment``.
        kwargs: Options of every data set in memory, see ``InMemoryData``.
    """

    modality = "image"

    def __init__(self, augment: Augment = Augment(), **kwargs: Any) -> None:  # noqa: B008, it cannot be changed
        super().__init__(**kwargs)
        self.hparams["augment"] = asdict(augment)  # a checkpoint holds plain values only
        self.augment = augment
        self.resize = False
        self.image_column = "path"
        self.folders: tuple[str, ...] = ()
        self._taken: Rows
        self._placed: Tensor

    def take(
        self,
        images: Tensor,
        target: Target,
        val: Tensor | None = None,
        test: Tensor | None = None,
        about: polars.DataFrame | None = None,
    ) -> None:
        """Splits images and targets and sets all attributes.

        Args:
            images: Bytes (N, C, H, W).
            target: Target of each image.
            val: Row ids of a validation split that the data come with.
            test: Row ids of a test split that they come with.
            about: Columns that the split may depend on.
        """
        self._taken, self._placed = Rows(images, target.y, test, val, about=about), images
        _, self.task, self.num_outputs, self.class_names = target
        self.input_shape = tuple(images.shape[1:])
        check_train_targets(target, self.split_now().train)

    def load(self) -> Rows:
        """Returns bytes and targets."""
        return self._taken

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns pixels as bytes."""
        return {"x": self._taken.x[index]}

    @property
    def inputs(self) -> ImageInputs:
        """Preprocessing: size, channels and statistics."""
        assert self.statistics is not None
        channels, height, width = self.input_shape
        colours: Channels = 1 if channels == 1 else 3
        files = (self.resize, self.image_column, self.folders, self.id_column)
        return ImageInputs(self.statistics, colours, (height, width), *files)

    def features(self) -> polars.DataFrame:
        """Returns the mean of each channel of each image."""
        blocks = [block.flatten(2).sum(dim=2) for block in self._taken.x.split(BLOCK_ROWS)]
        means = torch.cat(blocks).double() / prod(self.input_shape[1:])
        return polars.DataFrame({f"mean of channel {index}": mean.numpy() for index, mean in enumerate(means.T)})

    def transform(self, split: str) -> Transform:
        """Returns the transform that adds a batch's images: augmented in training, and normalized."""
        return ImageBatches(self._placed_images(), self.inputs, self.augment if split == "train" else None)

    def _placed_images(self) -> Tensor:
        """Returns the images of all splits, on the device that trains if they may be there and fit."""
        device = device_of(self.trainer)
        if isinstance(self.statistics, Quantiles):  # computed on a CPU
            return self._taken.x
        if self._placed.device != device:
            self._placed = placed({"x": self._taken.x}, self.device, device)["x"]
        return self._placed

    def _sliced(self, split: str) -> dict[str, Tensor]:
        assert self.split is not None
        index: Tensor = getattr(self.split, split)
        return {"y": self.rows.y.index_select(0, index), "row": index}

    def _learn(self, train: Tensor) -> Normalizer:
        return learn_levels(count_levels(self._taken.x, train), self.normalize)

    def _check_id(self, name: str, rows: Rows) -> None:
        super()._check_id(name, rows)
        if name == "file":
            raise DataError("--data.id file: predictions of images have a column of that name; rename it in the file")

    def _check(self, rows: Rows) -> None:
        """No check: bytes are finite, and the reader checked the targets."""


class ImageBatches:
    """Selects the images (N, C, H, W) of a batch's rows, augments and normalizes them, on the device of the images."""

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
