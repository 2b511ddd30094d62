"""The quantile normalization as a graph: no search, no special function, nothing that a format may lack."""

import torch
from torch import Tensor, nn

from datamodules.preprocessing.normalization import Quantiles

CENTRAL = (
    (
        3.3871328727963665,
        133.14166789178438,
        1971.5909503065513,
        13731.69376550946,
        45921.95393154987,
        67265.7709270087,
        33430.57558358813,
        2509.0809287301227,
    ),
    (
        1.0,
        42.31333070160091,
        687.1870074920579,
        5394.196021424751,
        21213.794301586597,
        39307.89580009271,
        28729.085735721943,
        5226.495278852854,
    ),
)
NEAR = (
    (
        1.4234371107496835,
        4.630337846156546,
        5.769497221460691,
        3.6478483247632045,
        1.2704582524523684,
        0.2417807251774506,
        0.022723844989269184,
        0.0007745450142783414,
    ),
    (
        1.0,
        2.053191626637759,
        1.6763848301838038,
        0.6897673349851,
        0.14810397642748008,
        0.015198666563616457,
        0.0005475938084995345,
        1.0507500716444169e-09,
    ),
)
FAR = (
    (
        6.657904643501103,
        5.463784911164114,
        1.7848265399172913,
        0.29656057182850487,
        0.026532189526576124,
        0.0012426609473880784,
        2.7115555687434876e-05,
        2.0103343992922881e-07,
    ),
    (
        1.0,
        0.599832206555888,
        0.1369298809227358,
        0.014875361290850615,
        0.0007868691311456133,
        1.8463183175100548e-05,
        1.421511758316446e-07,
        2.0442631033899397e-15,
    ),
)
"""Numerator and denominator in the middle, in the tails, and far out in them."""


class QuantileMap(nn.Module):
    """What ``Quantiles.apply`` does, with operations that every format has.

    Args:
        quantiles: Learned of the train rows.
    """

    values: Tensor

    def __init__(self, quantiles: Quantiles) -> None:
        super().__init__()
        self.register_buffer("values", quantiles.values)

    def forward(self, x: Tensor) -> Tensor:
        """Rows (N, F) or (N, C, ...) float64 -> float32, each value where its rank is in a normal distribution."""
        features, count = self.values.shape
        place = torch.arange(features).view(1, -1, *(1,) * (x.dim() - 2)) * count
        flat = self.values.flatten()
        below = torch.zeros_like(x, dtype=torch.int64)  # how many quantiles are less than each value
        within = torch.zeros_like(x, dtype=torch.int64)  # how many are not more
        for power in reversed(range(count.bit_length())):
            below = self._step(flat, place, below, 2**power, x, equal=False)
            within = self._step(flat, place, within, 2**power, x, equal=True)
        left, right = (within - 1).clamp(min=0), below.clamp(max=count - 1)
        low, high = flat[place + left], flat[place + right]
        between = left < right  # else the value is a quantile, or beyond all of them
        share = torch.where(between, (x - low) / torch.where(between, high - low, 1.0), 0.5)
        rank = (left + share * (right - left)) / (count - 1)
        edge = 0.5 / count
        return normal_quantile(rank.clamp(edge, 1 - edge)).float()

    def _step(self, flat: Tensor, place: Tensor, found: Tensor, step: int, x: Tensor, equal: bool) -> Tensor:
        """One step of a binary search for how many quantiles are less than ``x``, or ``equal`` to it."""
        further = found + step
        last = flat[place + (further - 1).clamp(max=self.values.shape[1] - 1)]
        fits = (last <= x) if equal else (last < x)
        return torch.where(fits & (further <= self.values.shape[1]), further, found)


def normal_quantile(p: Tensor) -> Tensor:
    """Where the standard normal distribution has the probability ``p`` in (0, 1) below it, float64.

    Wichura 1988, algorithm AS 241 (PPND16), about 1e-16; with the coefficients in the order of rising powers.
    """
    centre = p - 0.5
    r = 0.180625 - centre * centre
    tail = torch.sqrt(-torch.log(torch.where(centre <= 0, p, 1 - p)))
    near, far = tail - 1.6, tail - 5.0
    outside = torch.where(tail <= 5.0, _ratio(near, *NEAR), _ratio(far, *FAR))
    outside = torch.where(centre < 0, -outside, outside)
    return torch.where(centre.abs() <= 0.425, centre * _ratio(r, *CENTRAL), outside)


def _ratio(x: Tensor, over: tuple[float, ...], under: tuple[float, ...]) -> Tensor:
    return _polynomial(x, over) / _polynomial(x, under)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    total = torch.full_like(x, coefficients[-1])
    for one in coefficients[-2::-1]:
        total = total * x + one
    return total
