"""Normalization: statistics of train rows, applied to all rows."""

from typing import Literal, NamedTuple

import numpy
import torch
from torch import Tensor

from datamodules.raw_data import valid

Method = Literal["standard", "minmax", "robust", "quantile", "none"]
"""standard: mean 0, standard deviation 1; minmax: to [0, 1]; robust: median 0, interquartile range 1; quantile: by rank
to a standard normal distribution, which tames outliers; none."""

MAX_QUANTILES = 1000


class Statistics(NamedTuple):
    """What is taken off and what is divided by, float64, of one size per feature."""

    center: Tensor
    scale: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Normalized float32 rows (N, F) or (N, C, ...)."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return ((x.double() - self.center.view(shape)) / self.scale.view(shape)).float()


class Quantiles(NamedTuple):
    """Values (features, Q) at Q equal steps of probability from the smallest to the largest, float64."""

    values: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Rows (N, F) or (N, C, ...) as float32, each value where its rank is in a standard normal distribution.

        A value that is repeated gets the middle of its ranks; what is beyond the outermost values gets theirs.
        """
        columns = _columns(x)
        steps = numpy.linspace(0, 1, self.values.shape[1])
        mapped = torch.empty(columns.shape)
        for index, (column, quantiles) in enumerate(zip(columns.numpy(), self.values.numpy(), strict=True)):
            upper = numpy.interp(column, quantiles, steps)
            lower = -numpy.interp(-column, -quantiles[::-1], -steps[::-1])
            edge = 0.5 / len(steps)  # the outermost values are not infinitely far out
            rank = torch.from_numpy(((lower + upper) / 2).clip(edge, 1 - edge))
            mapped[index] = torch.special.ndtri(rank)
        return mapped.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1).contiguous()


class Unchanged(NamedTuple):
    """Nothing is done: whoever gets the rows normalizes them."""

    def apply(self, x: Tensor) -> Tensor:
        """Bytes as they are, other numbers as float64: not a digit is lost ahead of the normalization."""
        return x if x.dtype == torch.uint8 else x.double()


Normalizer = Statistics | Quantiles | Unchanged


def learn(x: Tensor, method: Method, lengths: Tensor | None = None) -> Normalizer:
    """What normalizes rows like these (N, F) or (N, C, ...) by a method.

    Args:
        x: The rows.
        method: How.
        lengths: Steps of each row (N,) that are no padding, where rows are (N, C, T).

    Raises:
        ValueError: For a method that does not exist.
    """
    if method != "quantile":
        return fit(x, method, lengths)
    columns = _columns(x, lengths).numpy()
    steps = numpy.linspace(0, 1, max(2, min(MAX_QUANTILES, columns.shape[1])))
    values = numpy.quantile(columns, steps, axis=1).T
    return Quantiles(torch.tensor(numpy.maximum.accumulate(values, axis=1)))  # rounding may have put two out of order


def restore(state: dict[str, Tensor]) -> Normalizer:
    """What ``_asdict()`` was taken of."""
    if not state:
        return Unchanged()
    return Quantiles(**state) if "values" in state else Statistics(**state)


def fit(x: Tensor, method: Method, lengths: Tensor | None = None) -> Statistics:
    """Statistics of rows (N, F), per column, or of (N, C, ...), per channel over all positions that are no padding.

    Computed in float64. A feature that never varies gets scale 1, so that it becomes 0 and not NaN.

    Raises:
        ValueError: For a method that does not exist.
    """
    columns = _columns(x, lengths)
    if not len(columns):
        method = "none"  # a table of categories alone
    match method:
        case "standard":
            center, scale = columns.mean(dim=1), columns.std(dim=1, correction=0)
        case "minmax":
            center, scale = columns.amin(dim=1), columns.amax(dim=1) - columns.amin(dim=1)
        case "robust":
            # numpy's quantile has no limit on the number of values, torch's has one.
            quarters = torch.from_numpy(numpy.quantile(columns.numpy(), [0.25, 0.5, 0.75], axis=1))
            center, scale = quarters[1], quarters[2] - quarters[0]
        case "none":
            center, scale = torch.zeros(len(columns)).double(), torch.ones(len(columns)).double()
        case _:
            raise ValueError(f"normalize {method!r} is unknown; it is standard, minmax, robust, quantile or none")
    # The deviation of a constant is rounding error, not always 0.
    constant = scale <= 1e-12 * columns.abs().amax(dim=1)
    return Statistics(center, torch.where(constant, torch.ones_like(scale), scale))


def _columns(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Rows (N, F) or (N, C, ...) -> float64 (features, values)."""
    by_feature = x.double().transpose(0, 1)
    return by_feature.flatten(1) if lengths is None else by_feature[:, valid(lengths, x.shape[-1])]
