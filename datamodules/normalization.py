"""Normalization: statistics of train rows, applied to all rows."""

from typing import Literal, NamedTuple

import numpy
import torch
from torch import Tensor

Method = Literal["standard", "minmax", "robust", "none"]
"""standard: mean 0, standard deviation 1; minmax: to [0, 1]; robust: median 0, interquartile range 1; none."""


class Statistics(NamedTuple):
    """What is taken off and what is divided by, float64, of one size per feature."""

    center: Tensor
    scale: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Normalized float32 rows (N, F) or (N, C, ...)."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return ((x.double() - self.center.view(shape)) / self.scale.view(shape)).float()


def fit(x: Tensor, method: Method) -> Statistics:
    """Statistics of rows (N, F), per column, or of (N, C, ...), per channel over all positions.

    Computed in float64. A feature that never varies gets scale 1, so that it becomes 0 and not NaN.

    Raises:
        ValueError: For a method that does not exist.
    """
    columns = x.double().transpose(0, 1).flatten(1)  # (features, values)
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
            raise ValueError(f"normalize {method!r} is unknown; it is standard, minmax, robust or none")
    # The deviation of a constant is rounding error, not always 0.
    constant = scale <= 1e-12 * columns.abs().amax(dim=1)
    return Statistics(center, torch.where(constant, torch.ones_like(scale), scale))
