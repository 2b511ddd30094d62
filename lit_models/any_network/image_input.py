"""Channels, size and normalization of images as a pretrained network was given them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lit_models.errors import ConfigError

RGB = 3

WHITE = 255.0
"""Value of a white pixel that is not normalized."""


class ImageInput(nn.Module):
    """Repeats the channel of grey images, resizes and normalizes, in this order; part of the network and its exports.

    Args:
        shape: Shape (C, H, W) of the images.
        repeat: Repeat the one channel of grey images to three.
        size: Side to resize to, linearly between pixels and without keeping the proportions; 0 for the images' own.
        mean: Mean of each channel that gets subtracted, as a fraction of white; none for no normalization.
        std: Standard deviation of each channel to divide by, as a fraction of white.

    Raises:
        ConfigError: For options that do not fit the images or each other.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, shape: Sequence[int], repeat: bool, size: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ConfigError(
                f"repeat_channels, image_size, image_mean and image_std are about images (C, H, W), and a row is "
                f"{tuple(shape)}; leave them out"
            )
        if repeat and shape[0] != 1:
            raise ConfigError(
                f"repeat_channels repeats the channel of grey images (1, H, W), and a row is {tuple(shape)}; leave "
                "--model.repeat_channels out"
            )
        channels = RGB if repeat else shape[0]
        if bool(mean) != bool(std) or (mean and not len(mean) == len(std) == channels):
            raise ConfigError(
                f"--model.image_mean and --model.image_std have a number for each of {channels} channels, and "
                f"{len(mean)} and {len(std)} were given; --model.repeat_channels true makes three channels of one"
            )
        if any(not 0 <= value <= 1 for value in mean) or any(not 0 < value <= 1 for value in std):
            raise ConfigError(
                "--model.image_mean and --model.image_std are fractions of white, in [0, 1] and (0, 1], such as "
                f".485 and .229, and they are {list(mean)} and {list(std)}"
            )
        if size < 0:
            raise ConfigError(f"--model.image_size is a side in pixels, and it is {size}; 0 leaves images as they are")
        self.repeats, self.size = channels if repeat else 0, size
        self.shape = (channels, size or shape[1], size or shape[2])
        # Options fill them in, so that checkpoints need no more entries.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * WHITE, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1) * WHITE, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> (N, *shape)."""
        if self.size and x.shape[-2:] != (self.size, self.size):
            x = functional.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
        if self.repeats:
            x = x.expand(-1, self.repeats, *x.shape[2:])
        return (x - self.mean) / self.std if len(self.mean) else x
