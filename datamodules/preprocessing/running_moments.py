"""Moments of features in one pass over rows that are never in memory together."""

import torch
from torch import Tensor

CHUNK_BYTES = 1 << 19
"""Size of the chunks that rows are summed in, small enough to stay in a processor's cache between two sums."""


class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of each feature, in float64.

    A chunk's deviations from a value near its mean are summed in the rows' own precision, which over so few rows
    costs no measurable accuracy; chunks are merged in float64 (Chan, Golub & LeVeque 1983, "Algorithms for
    computing the sample variance"). A chunk far from the mean so far is summed again from its own mean, so that a mean
    far from 0 or a jump in the data costs no digits. NaN is a missing value and does not count.
    """

    def __init__(self, features: int) -> None:
        self.count, self.mean, self.squares = torch.zeros(3, features, dtype=torch.float64).unbind()
        self.low = torch.full((features,), torch.inf, dtype=torch.float64)
        self.high = -self.low
        self._room = torch.empty(0)

    @property
    def std(self) -> Tensor:
        """Population standard deviation (F,) of all values."""
        return (self.squares / self.count).sqrt()

    def update(self, x: Tensor) -> None:
        """Adds rows (n, F), float32 or float64. An infinite value makes ``low`` or ``high`` of its feature infinite."""
        if not len(x):
            return
        chunks = x.split(max(1, CHUNK_BYTES // max(1, x[:1].nbytes)))
        near = self.mean.to(x.dtype) if bool(self.count.any()) else x[:1000].nanmean(dim=0).nan_to_num(nan=0.0)
        shift, squares, low, high = x.new_empty(4, len(chunks), x.shape[1]).unbind()
        for index, chunk in enumerate(chunks):
            torch.amin(chunk, dim=0, out=low[index])
            torch.amax(chunk, dim=0, out=high[index])
            _sums(chunk, near, self._room_for(chunk), shift[index], squares[index])
        count = torch.tensor([float(len(chunk)) for chunk in chunks], dtype=torch.float64).unsqueeze(1)
        shift, squares = shift.double() / count, squares.double()
        squares -= shift.square() * count
        odd = ~(squares >= 0.5 * shift.square() * count).all(dim=1)  # not near, or NaN
        even = ~odd
        self._merge_all(count[even].expand(-1, len(near)), near + shift[even], squares[even], low[even], high[even])
        for index in odd.nonzero().flatten().tolist():
            self._add_odd(chunks[index])

    def merge(self, count: Tensor, mean: Tensor, squares: Tensor, low: Tensor, high: Tensor) -> None:
        """Merges the moments of other values, (F,) each; those with a count of 0 are ignored."""
        total = (self.count + count).clamp(min=1)
        apart = torch.where(count > 0, mean, self.mean) - self.mean
        self.squares += torch.where(count > 0, squares, 0.0) + apart.square() * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count += count
        self.low = torch.where(count > 0, torch.minimum(self.low, low.double()), self.low)
        self.high = torch.where(count > 0, torch.maximum(self.high, high.double()), self.high)

    def over(self, channels: int) -> "Moments":
        """Returns the moments of channels, where the features are (channels, positions) flattened."""
        merged = Moments(channels)
        moments = (self.count, self.mean, self.squares, self.low, self.high)
        merged._merge_all(*(value.view(channels, -1).T for value in moments))
        return merged

    def _merge_all(self, count: Tensor, mean: Tensor, squares: Tensor, low: Tensor, high: Tensor) -> None:
        """Merges k moments, (k, F) each."""
        if len(count):
            total = count.sum(dim=0)
            center = (count * mean).sum(dim=0) / total.clamp(min=1)
            within = squares.sum(dim=0) + (count * (mean - center).square()).sum(dim=0)
            self.merge(total, center, within, low.amin(dim=0), high.amax(dim=0))

    def _add_odd(self, x: Tensor) -> None:
        """Merges a chunk that has NaN or is far from the mean, from its own mean."""
        missing = x.isnan()
        count = (~missing).sum(dim=0).double()
        near = x.nanmean(dim=0)  # NaN where all are missing, which ``merge`` ignores
        low, high = (x.masked_fill(missing, edge) for edge in (torch.inf, -torch.inf))
        shift, squares = torch.empty_like(near), torch.empty_like(near)
        _sums(torch.where(missing, near, x), near, self._room_for(x), shift, squares)
        off = shift.double() / count.clamp(min=1)
        self.merge(count, near + off, squares.double() - off.square() * count, low.amin(dim=0), high.amax(dim=0))

    def _room_for(self, x: Tensor) -> Tensor:
        if len(self._room) < len(x) or self._room.dtype != x.dtype:
            self._room = torch.empty_like(x)
        return self._room[: len(x)]


def _sums(x: Tensor, near: Tensor, room: Tensor, shift: Tensor, squares: Tensor) -> None:
    """Computes the sums of deviations from a value, and of their squares."""
    torch.sub(x, near, out=room)
    torch.sum(room, dim=0, out=shift)
    torch.sum(room.square_(), dim=0, out=squares)
