"""Preprocessing as torch modules: missing values, gaps of series, padding; training, prediction and export share them.

The statistics are buffers, and every operation has a counterpart in each export format.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.preprocessing.normalizer import Normalizer, per_feature
from datamodules.raw_data import valid

BLOCK = 2**18  # numbers of series with gaps that are interpolated at a time


class FillMissing(nn.Module):
    """Replaces NaN by a value of its feature (F,), float64."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self, x: Tensor) -> Tensor:
        """Fills rows (N, F) or (N, C, ...), and keeps their type."""
        return torch.where(x.isnan(), self.values.to(x.dtype).view(per_feature(x)), x)


class MissingColumns(nn.Module):
    """Appends a number to each row for each of some of its features, by their positions (M,): 1 where it is missing."""

    positions: Tensor

    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        self.register_buffer("positions", positions)

    def forward(self, prepared: Tensor, x: Tensor) -> Tensor:
        """Prepared rows (N, F), and the same rows with NaN -> (N, F + M)."""
        missing = x.index_select(1, self.positions).isnan()
        return torch.cat([prepared, missing.to(prepared.dtype)], dim=1)


class Interpolate(nn.Module):
    """Fills the gaps of series on the line between the neighbouring values, and with the nearest value at the ends.

    A series has at most ``steps`` steps. A channel without any value stays NaN.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Fills series (N, C, T), of which the first ``lengths`` (N,) steps are no padding; keeps their type."""
        if torch.compiler.is_exporting():
            return self._filled(x, lengths)
        rows, channels = x.isnan().any(dim=2).nonzero(as_tuple=True)
        if not len(rows):
            return x
        filled = x.clone()
        size = max(1, BLOCK // x.shape[2])
        for row, channel in zip(rows.split(size), channels.split(size), strict=True):
            of_row = None if lengths is None else lengths[row]
            filled[row, channel] = self._filled(x[row, channel].unsqueeze(1), of_row).squeeze(1)
        return filled

    def _filled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        there = ~x.isnan()
        step = torch.arange(x.shape[2]).expand(x.shape)
        if lengths is not None:
            there = there & (step < lengths.view(-1, 1, 1))
        nowhere = self.steps
        # Step of the nearest value on either side, by doubling the reach: every format has shifts and maxima.
        before, behind = torch.where(there, step, -1), torch.where(there, step, nowhere)
        for power in range(max(0, self.steps - 1).bit_length()):
            earlier = functional.pad(before, (2**power, 0), value=-1)[..., : x.shape[2]]
            later = functional.pad(behind, (0, 2**power), value=nowhere)[..., 2**power :]
            before, behind = before.maximum(earlier), behind.minimum(later)
        left = torch.where(before < 0, behind, before)
        right = torch.where(behind == nowhere, before, behind)
        empty = (before < 0) & (behind == nowhere)
        values = torch.where(there, x, 0.0).double()
        low, high = (values.gather(2, torch.where(empty, 0, side)) for side in (left, right))
        # In the order of numpy.interp, whose bits these are.
        line = (high - low) / (right - left).clamp(min=1) * (step - left) + low
        return torch.where(x.isnan() & ~empty, line.to(x.dtype), x)


class Preprocessor(nn.Module):
    """Interpolates gaps of series, replaces other missing values where any may be missing, normalizes and pads.

    Of tables, it also says of some columns where they were missing.
    """

    def __init__(
        self,
        normalize: Normalizer,
        missing: FillMissing | None = None,
        gaps: Interpolate | None = None,
        where_missing: MissingColumns | None = None,
    ) -> None:
        super().__init__()
        self.normalize, self.missing, self.gaps, self.where_missing = normalize, missing, gaps, where_missing

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Prepares raw rows (N, ...) as float32, 0 from step ``lengths`` (N,) on where rows are padded."""
        if self.gaps is not None:
            x = self.gaps(x, lengths)
        filled = x if self.missing is None else self.missing(x)
        normal: Tensor = self.normalize(filled, lengths)
        if self.where_missing is not None:
            normal = self.where_missing(normal, x)
        return normal if lengths is None else normal * valid(lengths, x.shape[-1]).unsqueeze(1)
