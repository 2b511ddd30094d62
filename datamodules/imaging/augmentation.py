"""Augmentation of training images, a whole batch at a time."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from datamodules.errors import DataError


@dataclass(frozen=True)
class Augment:
    """Random changes of training images; none by default.

    Args:
        flip: Probability of mirroring an image left to right, in [0, 1].
        crop: Black pixels that are added around an image before a crop of its own size at a random position.
        jitter: Largest change of brightness and of contrast, in [0, 1]: the pixels are multiplied by a number in
            [1 - jitter, 1 + jitter], then their distances to the image's mean by a second one.
    """

    flip: float = 0.0
    crop: int = 0
    jitter: float = 0.0

    draws = 5
    """Random numbers of an image; each change has its own, so that one does not affect another."""

    def __post_init__(self) -> None:
        """Raises ``DataError`` for values out of range."""
        if not (0 <= self.flip <= 1 and 0 <= self.jitter <= 1 and self.crop >= 0):
            raise DataError(
                "--data.augment: flip and jitter are in [0, 1] and crop is at least 0, and they are "
                f"{self.flip:g}, {self.jitter:g} and {self.crop}"
            )

    def __call__(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Changes images at random.

        Args:
            x: Bytes (N, C, H, W).
            uniform: Random numbers (N, 5) in [0, 1).

        Returns:
            Bytes, or with jitter float32 in [0, 255], (N, C, H, W).
        """
        flip, down, right, brightness, contrast = uniform.T
        if self.flip:
            x = torch.where((flip < self.flip).view(-1, 1, 1, 1), x.flip(3), x)
        if self.crop:
            x = self._cropped(x, down, right)
        if self.jitter:
            factors = [(1 + self.jitter * (2 * u - 1)).view(-1, 1, 1, 1) for u in (brightness, contrast)]
            bright = x * factors[0]
            mean = bright.mean(dim=(1, 2, 3), keepdim=True)
            x = (mean + (bright - mean) * factors[1]).clamp(0, 255)
        return x

    def _cropped(self, x: Tensor, down: Tensor, right: Tensor) -> Tensor:
        rows, _, height, width = x.shape
        arange = partial(torch.arange, device=x.device)
        starts = [(u * (2 * self.crop + 1)).long().view(-1, 1) for u in (down, right)]
        of_rows, of_columns = starts[0] + arange(height), starts[1] + arange(width)  # (N, H), (N, W)
        bordered = pad(x, [self.crop] * 4)
        # Three index tensors around a slice put the sliced channels last.
        cut = bordered[arange(rows).view(-1, 1, 1), :, of_rows.unsqueeze(2), of_columns.unsqueeze(1)]
        return cut.permute(0, 3, 1, 2).contiguous()
