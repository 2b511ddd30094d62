"""Quantile map with operations that every export format has: ranks among quantiles, and the normal quantile."""

import torch
from torch import Tensor

CENTRAL = (
    (3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946,
     45921.95393154987, 67265.7709270087, 33430.57558358813, 2509.0809287301227),
    (1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751,
     21213.794301586597, 39307.89580009271, 28729.085735721943, 5226.495278852854),
)  # fmt: skip
NEAR = (
    (1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045,
     1.2704582524523684, 0.2417807251774506, 0.022723844989269184, 0.0007745450142783414),
    (1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851,
     0.14810397642748008, 0.015198666563616457, 0.0005475938084995345, 1.0507500716444169e-09),
)  # fmt: skip
FAR = (
    (6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487,
     0.026532189526576124, 0.0012426609473880784, 2.7115555687434876e-05, 2.0103343992922881e-07),
    (1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615,
     0.0007868691311456133, 1.8463183175100548e-05, 1.421511758316446e-07, 2.0442631033899397e-15),
)  # fmt: skip
"""Numerator and denominator of the normal quantile in the middle, in the tails and far out, by rising powers."""


def ranks(x: Tensor, quantiles: Tensor) -> Tensor:
    """Computes the rank, in [0, 1], of each value (N, F) or (N, C, ...) among its feature's quantiles (F or C, Q).

    It is linear between two quantiles, the middle of the ranks of a repeated quantile, and NaN where ``x`` is; all are
    float64.
    """
    features, count = quantiles.shape
    offset = torch.arange(features, device=x.device).view(1, -1, *(1,) * (x.dim() - 2)) * count
    flat = quantiles.flatten()
    if torch.compiler.is_exporting():  # ONNX has no searchsorted
        below, within = (_search(x, flat, offset, count, equal) for equal in (False, True))
    else:
        by_feature = x.transpose(0, 1).contiguous()
        columns = by_feature.flatten(1)
        below, within = (
            torch.searchsorted(quantiles, columns, right=equal).view(by_feature.shape).transpose(0, 1)
            for equal in (False, True)
        )
    left, right = (within - 1).clamp(min=0), below.clamp(max=count - 1)
    low, high = flat[offset + left], flat[offset + right]
    between = left < right  # else the value is a quantile, or beyond all of them
    fraction = torch.where(between, (x - low) / torch.where(between, high - low, 1.0), 0.5)
    return torch.where(x.isnan(), x, (left + fraction * (right - left)) / (count - 1))


def _search(x: Tensor, flat: Tensor, offset: Tensor, count: int, equal: bool) -> Tensor:
    """Counts the quantiles that are less than each value, or ``equal`` to it, by binary search."""
    found = torch.zeros_like(x, dtype=torch.int64)
    for power in reversed(range(count.bit_length())):
        further = found + 2**power
        last = flat[offset + (further - 1).clamp(max=count - 1)]
        fits = (last <= x) if equal else (last < x)
        found = torch.where(fits & (further <= count), further, found)
    return found


def normal_quantile(p: Tensor) -> Tensor:
    """Computes the standard normal quantile of probabilities in (0, 1), to 1e-16 (Wichura 1988, AS 241, PPND16)."""
    centre = p - 0.5
    r = 0.180625 - centre * centre
    tail = torch.sqrt(-torch.log(torch.where(centre <= 0, p, 1 - p)))
    near, far = tail - 1.6, tail - 5.0
    outside = torch.where(tail <= 5.0, _ratio(near, *NEAR), _ratio(far, *FAR))
    outside = torch.where(centre < 0, -outside, outside)
    return torch.where(centre.abs() <= 0.425, centre * _ratio(r, *CENTRAL), outside)


def _ratio(x: Tensor, over: tuple[float, ...], under: tuple[float, ...]) -> Tensor:
    numerator, denominator = torch.full_like(x, over[-1]), torch.full_like(x, under[-1])
    for above, below in zip(over[-2::-1], under[-2::-1], strict=True):
        numerator, denominator = numerator * x + above, denominator * x + below
    return numerator / denominator
