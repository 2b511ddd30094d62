"""Normalization of each series by itself, for data whose series differ in scale by orders of magnitude."""

from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.preprocessing.normalizer import ROUNDING, Normalizer
from datamodules.raw_data import valid

SAME = 1e-5
"""Logarithms that differ by no more over all train rows are one value, such as 1 of series standardized before."""


class SeriesNormalization(Normalizer):
    """Normalization of each channel of each series to mean 0 and standard deviation 1 over its steps.

    Two more channels for each one, the same at all steps, keep what that removes: the mean, as sign(mean) log(1 +
    |mean| / deviation), and the logarithm of the standard deviation. Both are standardized over the train rows. A
    channel that is constant in a series becomes 0, and its deviation counts as the least one of the train rows.
    """

    channels = 3
    least: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, least: Tensor, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("least", least)  # standard deviation that counts for smaller ones (C,)
        self.register_buffer("center", center)  # of the means' and the deviations' logarithms (2C,)
        self.register_buffer("scale", scale)  # of both (2C,), infinite where the train rows have one value

    @classmethod
    def learn(cls, x: Tensor, lengths: Tensor | None = None) -> Self:
        """Fits train rows (N, C, T)."""
        mean, std, _ = _moments(x.double(), lengths)
        least = std.where(std > 0, torch.inf).amin(dim=(0, 2))
        least = least.where(least.isfinite(), 1.0)
        logarithms = _logarithms(mean, std, least)
        spread = logarithms.amax(dim=0) - logarithms.amin(dim=0)
        scale = logarithms.std(dim=0, correction=0).where(spread > SAME, torch.inf)
        return cls(least, logarithms.mean(dim=0), scale)

    @override
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        mean, std, centered = _moments(x.double(), lengths)
        normal = centered / std.where(std > 0, 1.0)
        level = ((_logarithms(mean, std, self.least) - self.center) / self.scale).unsqueeze(2)
        return torch.cat([normal, level.expand(-1, -1, x.shape[2])], dim=1).float()

    @override
    def inverse(self, x: Tensor) -> Tensor:
        """Returns rows (N, C, T) of normalized rows (N, 3C, T), with the level of their first step."""
        channels = len(self.least)
        logarithms = x[:, channels:, :1] * self.scale.where(self.scale.isfinite(), 0.0).view(1, -1, 1)
        logarithms = logarithms + self.center.view(1, -1, 1)
        mean, std = logarithms[:, :channels], logarithms[:, channels:].exp()
        return (x[:, :channels] + mean.sign() * torch.expm1(mean.abs())) * std


def standard_deviations(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Returns the standard deviation of each channel of series (N, C, T) over their steps: (N, C) float64."""
    return _moments(x.double(), lengths)[1].squeeze(2)


def _moments(x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Returns means (N, C, 1), standard deviations (N, C, 1), and series (N, C, T) without their means.

    Padding is 0. The standard deviation of a channel that is constant, up to rounding, is exactly 0.
    """
    own = torch.ones_like(x) if lengths is None else valid(lengths, x.shape[2]).unsqueeze(1).double()
    steps = own.sum(dim=2, keepdim=True)
    mean = (x * own).sum(dim=2, keepdim=True) / steps
    centered = (x - mean) * own
    std = (centered.square().sum(dim=2, keepdim=True) / steps).sqrt()
    varies = std > ROUNDING * mean.abs()
    return mean, std.where(varies, 0.0), centered.where(varies, 0.0)


def _logarithms(mean: Tensor, std: Tensor, least: Tensor) -> Tensor:
    """Returns logarithms of means (N, C, 1), then of standard deviations (N, C, 1): (N, 2C)."""
    std = std.squeeze(2).maximum(least)
    relative = mean.squeeze(2) / std
    return torch.cat([relative.sign() * torch.log(1 + relative.abs()), torch.log(std)], dim=1)
