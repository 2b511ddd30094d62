"""Statistics of pixels from their histogram: exact, and without a float copy of the images."""

import torch
from torch import Tensor

from datamodules.preprocessing.normalization import MAX_QUANTILES, Quantiles, Statistics, without_constants
from datamodules.preprocessing.normalizer import Method, Normalizer

LEVELS = 256
BLOCK = 2**22


def count_levels(images: Tensor, rows: Tensor) -> Tensor:
    """Counts the values of each channel (C, 256) int64 in images (N, C, H, W), of some rows (M,)."""
    channels = images.shape[1]
    counts = torch.zeros(channels, LEVELS, dtype=torch.int64)
    for some in rows.split(max(1, BLOCK // max(1, images[0].numel()))):
        by_channel = images[some].transpose(0, 1).reshape(channels, -1)
        for count, values in zip(counts, by_channel, strict=True):
            count += torch.bincount(values, minlength=LEVELS)
    return counts


def learn_levels(counts: Tensor, method: Method) -> Normalizer:
    """Returns the normalizer of images from their counts, equal to ``normalization.learn`` on pixels.

    Args:
        counts: Counts (C, 256), at least one in each channel.
        method: Method of normalization.
    """
    levels = torch.arange(LEVELS).double()
    low, high = _quantiles(counts, torch.tensor([0.0, 1.0]).double()).T
    match method:
        case "standard":
            fraction = counts.double() / counts.sum(dim=1, keepdim=True)
            center = fraction @ levels
            scale = (fraction * (levels - center.unsqueeze(1)) ** 2).sum(dim=1).sqrt()
        case "minmax":
            center, scale = low, high - low
        case "robust":
            quarters = _quantiles(counts, torch.tensor([0.25, 0.5, 0.75]).double())
            center, scale = quarters[:, 1], quarters[:, 2] - quarters[:, 0]
        case "quantile":
            steps = max(2, min(MAX_QUANTILES, int(counts.sum(dim=1).max())))
            return Quantiles(_quantiles(counts, torch.linspace(0, 1, steps, dtype=torch.float64)))
        case "none":
            return Statistics(torch.zeros(len(counts)).double(), torch.ones(len(counts)).double())
    return without_constants(Statistics(center, scale.where(scale > 0, 1.0)), low, high)


def _quantiles(counts: Tensor, probabilities: Tensor) -> Tensor:
    """Returns quantiles (C, Q), interpolated linearly between two neighbours in the sorted pixels."""
    ends = counts.cumsum(dim=1)
    position = probabilities * (ends[:, -1:] - 1)
    below = torch.searchsorted(ends, position.floor().long(), right=True)
    above = torch.searchsorted(ends, position.ceil().long(), right=True)
    return below + (above - below) * (position - position.floor())
