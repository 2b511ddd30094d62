"""Base of the normalizations, which training, prediction and export share."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn

Method = Literal["standard", "minmax", "robust", "quantile", "series", "none"]
"""standard: mean 0, standard deviation 1; minmax: to [0, 1]; robust: median 0, interquartile range 1; quantile: by rank
to a standard normal distribution, which tames outliers; series: each series by its own mean and standard deviation,
which become two more channels; none."""

ROUNDING = 1e-12  # differences of a column's values are rounding error up to this fraction of the largest


class Normalizer(nn.Module, ABC):
    """Base of the normalizations: their buffers are statistics of train rows, float64, and stand in checkpoints."""

    channels = 1
    """Features, or channels, of a normalized row for each one of a raw row."""

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalizes rows (N, F) or (N, C, ...) of any number type to float32.

        Of rows (N, C, T) the first ``lengths`` (N,) steps are no padding; what becomes of padding is undefined.
        """

    @abstractmethod
    def inverse(self, x: Tensor) -> Tensor:
        """Returns float64 rows whose normalization is, or resembles, ``x``."""


def per_feature(x: Tensor) -> tuple[int, ...]:
    """Returns the shape by which values of each feature (F,) broadcast over rows (N, F) or (N, C, ...)."""
    return (1, -1) + (1,) * (x.dim() - 2)
