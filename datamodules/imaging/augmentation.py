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
        erase: Probability of erasing a rectangle of an image, in [0, 1], as Zhong et al. (2020) do: 2 to 40 % of its
            area, with sides in a ratio of .3 to 3.3, get one random level.
    """

    flip: float = 0.0
    crop: int = 0
    jitter: float = 0.0
    erase: float = 0.0

    @property
    def draws(self) -> int:
        """Random numbers of an image, 0 for no change; each change has its own, so that one does not affect another."""
        return 11 if self.erase else 5 if self.flip or self.crop or self.jitter else 0

    def __post_init__(self) -> None:
        """Raises ``DataError`` for values out of range."""
        if not (all(0 <= value <= 1 for value in (self.flip, self.jitter, self.erase)) and self.crop >= 0):
            raise DataError(
                "--data.augment: flip, jitter and erase are in [0, 1] and crop is at least 0, and they are "
                f"{self.flip:g}, {self.jitter:g}, {self.erase:g} and {self.crop}"
            )

    def __call__(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Changes images at random.

        Args:
            x: Bytes (N, C, H, W).
            uniform: Random numbers (N, draws) in [0, 1).

        Returns:
            Bytes, or with jitter float32 in [0, 255], (N, C, H, W).
        """
        if not self.draws:
            return x
        flip, down, right, brightness, contrast = uniform.T[:5]
        if self.flip:
            x = torch.where((flip < self.flip).view(-1, 1, 1, 1), x.flip(3), x)
        if self.crop:
            x = self._cropped(x, down, right)
        if self.jitter:
            factors = [(1 + self.jitter * (2 * u - 1)).view(-1, 1, 1, 1) for u in (brightness, contrast)]
            bright = x * factors[0]
            mean = bright.mean(dim=(1, 2, 3), keepdim=True)
            x = (mean + (bright - mean) * factors[1]).clamp(0, 255)
        return self._erased(x, uniform.T[5:]) if self.erase else x

    def _erased(self, x: Tensor, uniform: Tensor) -> Tensor:
        wanted, area, ratio, down, right, level = uniform.unsqueeze(2)  # each (N, 1)
        height, width = x.shape[2:]
        pixels, aspect = height * width * (0.02 + 0.38 * area), 0.3 ** (1 - 2 * ratio)
        sides = ((pixels * aspect).sqrt(), height, down), ((pixels / aspect).sqrt(), width, right)
        inside = []
        for length, size, position in sides:
            whole = length.round().clamp(1, size)
            first = (position * (size - whole + 1)).floor()
            steps = torch.arange(size, device=x.device)
            inside.append((steps >= first) & (steps < first + whole))  # (N, size)
        rectangle = inside[0].unsqueeze(2) & inside[1].unsqueeze(1) & (wanted < self.erase).unsqueeze(2)
        levels = (256 * level).floor().to(x.dtype).view(-1, 1, 1, 1)
        return torch.where(rectangle.unsqueeze(1), levels, x)

    def _cropped(self, x: Tensor, down: Tensor, right: Tensor) -> Tensor:
        rows, _, height, width = x.shape
        arange = partial(torch.arange, device=x.device)
        starts = [(u * (2 * self.crop + 1)).long().view(-1, 1) for u in (down, right)]
        of_rows, of_columns = starts[0] + arange(height), starts[1] + arange(width)  # (N, H), (N, W)
        bordered = pad(x, [self.crop] * 4)
        # Three index tensors around a slice put the sliced channels last.
        cut = bordered[arange(rows).view(-1, 1, 1), :, of_rows.unsqueeze(2), of_columns.unsqueeze(1)]
        return cut.permute(0, 3, 1, 2).contiguous()
