"""The data module of everything that is images in memory."""

from dataclasses import asdict
from math import prod
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.imaging.augmentation import Augment
from datamodules.imaging.decoding import Channels
from datamodules.imaging.image_batches import ImageBatches
from datamodules.imaging.inputs import ImageInputs
from datamodules.imaging.pixel_statistics import count_levels, learn_levels
from datamodules.in_memory import InMemoryData
from datamodules.loading.base_loader import Transform
from datamodules.loading.device_placement import placed
from datamodules.loading.global_batch import device_of
from datamodules.preprocessing.normalization import Normalizer, Quantiles
from datamodules.raw_data import Rows
from datamodules.tables.targets import Target, check_train_targets

BLOCK_ROWS = 256
"""Images that are summed at a time: torch makes eight bytes of each."""


class PixelData(InMemoryData):
    """Images of one size, one byte a pixel and channel, which a subclass gives to ``take`` in its constructor.

    They stay bytes: each batch is normalized on its way to the model, by each channel's statistics over the train rows.

    Args:
        augment: Random changes of training batches, see ``Augment``.
        kwargs: Options of every data set in memory, see ``InMemoryData``.
    """

    modality = "image"

    def __init__(self, augment: Augment = Augment(), **kwargs: Any) -> None:  # noqa: B008, it cannot be changed
        super().__init__(**kwargs)
        self.hparams["augment"] = asdict(augment)  # a checkpoint holds plain values only
        self.augment = augment
        self.resize = False
        self.image_column = "path"
        self._given: tuple[Tensor | None, Tensor | None] = (None, None)
        self._images: Tensor
        self._placed: Tensor
        self._target: Target
        self._about: polars.DataFrame | None = None
        self._sha = ""

    def take(
        self,
        images: Tensor,
        target: Target,
        val: Tensor | None = None,
        test: Tensor | None = None,
        about: polars.DataFrame | None = None,
    ) -> None:
        """Take images and targets and split them: after it all facts are known.

        Args:
            images: Bytes (N, C, H, W).
            target: Of each image.
            val: Rows of a validation part that the data come with.
            test: Rows of a test part that they come with.
            about: Columns that the split may go by.
        """
        self._images = self._placed = images
        self._target, self._given, self._about = target, (val, test), about
        _, self.task, self.num_outputs, self.class_names = target
        self.input_shape = tuple(images.shape[1:])
        check_train_targets(target, self.split_now().train)

    def load(self) -> Rows:
        """The bytes and the targets."""
        val, test = self._given
        return Rows(self._images, self._target.y, test, val, about=self._about)

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Pixels as bytes."""
        return {"x": self._images[index]}

    @property
    def inputs(self) -> ImageInputs:
        """Size, channels and statistics."""
        assert self.statistics is not None
        channels, height, width = self.input_shape
        grey_or_colour: Channels = 1 if channels == 1 else 3
        return ImageInputs(self.statistics, grey_or_colour, (height, width), self.resize, self.image_column)

    def features(self) -> polars.DataFrame:
        """The mean of each channel of each image."""
        blocks = [block.flatten(2).sum(dim=2) for block in self._images.split(BLOCK_ROWS)]
        means = torch.cat(blocks).double() / prod(self.input_shape[1:])
        return polars.DataFrame({f"mean of channel {index}": one.numpy() for index, one in enumerate(means.T)})

    def transform(self, part: str) -> Transform:
        """What adds a batch's images: changed at random in training, and normalized."""
        return ImageBatches(self._placed_images(), self.inputs, self.augment if part == "train" else None)

    def _placed_images(self) -> Tensor:
        """The images, all three parts of them, on the device that trains where they may be and fit."""
        device = device_of(self.trainer)
        by_rank = isinstance(self.statistics, Quantiles)  # which is found on a CPU
        if self._placed.device != device and not by_rank:
            self._placed = placed({"x": self._images}, self.device, device)["x"]
        return self._images if by_rank else self._placed

    def _sliced(self, part: str) -> dict[str, Tensor]:
        assert self.split is not None
        index: Tensor = getattr(self.split, part)
        return {"y": self.rows.y.index_select(0, index), "row": index}

    def _learn(self, train: Tensor) -> Normalizer:
        return learn_levels(count_levels(self._images, train), self.normalize)

    def _check(self, rows: Rows) -> None:
        """Nothing: bytes are finite, and the targets were checked as they were read."""

    def _data_digest(self) -> str:
        self._sha = self._sha or super()._data_digest()  # asked for with every checkpoint
        return self._sha
