"""What is done to raw numbers ahead of a network, as part of the graph: missing values and normalization."""

import torch
from torch import Tensor, nn

from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs, Inputs
from datamodules.preprocessing.normalization import Normalizer, Quantiles, Statistics
from datamodules.preprocessing.quantile_map import QuantileMap
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs


class Scale(nn.Module):
    """What ``Statistics.apply`` does.

    Args:
        statistics: Learned of the train rows.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.register_buffer("center", statistics.center)
        self.register_buffer("scale", statistics.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, F) or (N, C, ...) of any number type -> float32."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return ((x.double() - self.center.view(shape)) / self.scale.view(shape)).float()


class Numbers(nn.Module):
    """Rows of numbers: medians where they are missing, normalized, and 0 behind the end of padded ones.

    Args:
        normalize: What normalizes them.
        medians: Of each column (F,); None where nothing may be missing.
    """

    medians: Tensor | None

    def __init__(self, normalize: nn.Module, medians: Tensor | None = None) -> None:
        super().__init__()
        self.normalize = normalize
        self.register_buffer("medians", medians)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, ...) -> float32 of the same shape."""
        if self.medians is not None:
            x = torch.where(x.isnan(), self.medians, x)
        normal: Tensor = self.normalize(x)
        return normal if lengths is None else _without_padding(normal, lengths)


class Series(nn.Module):
    """Series: gaps on the line between the values beside them, normalized, and 0 behind their end.

    Args:
        normalize: What normalizes them.
        fill: Of each channel (C,), where a series has no value of it.
        steps: Of a row at most.
    """

    fill: Tensor

    def __init__(self, normalize: nn.Module, fill: Tensor, steps: int) -> None:
        super().__init__()
        self.normalize = normalize
        self.steps = steps
        self.register_buffer("fill", fill)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, C, T) float64 with NaN where missing -> float32."""
        normal: Tensor = self.normalize(self._filled(x, lengths))
        return normal if lengths is None else _without_padding(normal, lengths)

    def _filled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        there = ~x.isnan()
        step = torch.arange(x.shape[2]).expand(x.shape)
        if lengths is not None:
            there = there & (step < lengths.view(-1, 1, 1))
        nowhere = self.steps
        # The nearest value's step on either side, by doubling the reach: every format has shifts and maxima.
        before = torch.where(there, step, -1)
        behind = torch.where(there, step, nowhere)
        for power in range(max(0, self.steps - 1).bit_length()):
            before, behind = _reach(before, behind, 2**power, nowhere)
        left = torch.where(before < 0, behind, before)
        right = torch.where(behind == nowhere, before, behind)
        values = torch.where(there, x, 0.0)
        empty = (before < 0) & (behind == nowhere)
        low, high = (values.gather(2, torch.where(empty, 0, side)) for side in (left, right))
        line = low + (step - left) / (right - left).clamp(min=1) * (high - low)
        return torch.where(there, x, torch.where(empty, self.fill.view(1, -1, 1), line))


class Tokens(nn.Module):
    """Ids of tokens, as they are."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T) int64 -> the same."""
        return x


def preparation(inputs: Inputs) -> nn.Module:
    """What the graph does of what these inputs do: rows and lengths (N,) in, the network's float32 rows out."""
    match inputs:
        case TableInputs():
            medians = torch.tensor(list(inputs.encoding.medians.values()), dtype=torch.float64)
            return Numbers(_normalize(inputs.normalizer), medians)
        case SeriesInputs():
            return Series(_normalize(inputs.normalizer), inputs.fill.double(), inputs.steps)
        case ImageInputs() | ArrayInputs():
            return Numbers(_normalize(inputs.normalizer))
    return Tokens()


def _normalize(normalizer: Normalizer) -> nn.Module:
    if isinstance(normalizer, Quantiles):
        return QuantileMap(normalizer)
    assert isinstance(normalizer, Statistics)
    return Scale(normalizer)


def _without_padding(x: Tensor, lengths: Tensor) -> Tensor:
    padding = torch.arange(x.shape[-1]) >= lengths.unsqueeze(1)
    return x.masked_fill(padding.unsqueeze(1), 0.0)


def _reach(before: Tensor, behind: Tensor, steps: int, nowhere: int) -> tuple[Tensor, Tensor]:
    pad, time = torch.nn.functional.pad, before.shape[2]
    earlier = pad(before, (steps, 0), value=-1)[..., :time]
    later = pad(behind, (0, steps), value=nowhere)[..., steps:]
    return before.maximum(earlier), behind.minimum(later)
