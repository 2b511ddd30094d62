"""Normalization as torch modules with statistics of train rows, which training, prediction and export share."""

import numpy
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.preprocessing.normalizer import ROUNDING, Method, Normalizer, per_feature
from datamodules.preprocessing.quantile_map import normal_quantile, ranks
from datamodules.preprocessing.series_normalization import SeriesNormalization
from datamodules.raw_data import valid

MAX_QUANTILES = 1000

CELLS = 2**16
"""Numbers that the quantile map takes at a time, small enough that its copies stay in a processor's cache."""


class Statistics(Normalizer):
    """Linear normalization: subtracts a center from each feature (F,) and divides by a scale (F,), both float64.

    The scale is infinite for a feature without information, which becomes 0 whatever its value.
    """

    center: Tensor
    scale: Tensor

    def __init__(self, center: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)

    @override
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        shape = per_feature(x)
        return ((x.double() - self.center.view(shape)) / self.scale.view(shape)).float()

    @override
    def inverse(self, x: Tensor) -> Tensor:
        shape = per_feature(x)
        return x * self.scale.where(self.scale.isfinite(), 0.0).view(shape) + self.center.view(shape)


class Quantiles(Normalizer):
    """Quantile normalization: maps each value to its rank in a standard normal distribution.

    ``values`` are ascending quantiles (F, Q) at equal steps of probability, float64. A value that is repeated gets the
    middle of its ranks; values beyond the outermost quantiles get theirs. A feature with one value becomes 0.
    """

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values.contiguous())

    @override
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if torch.compiler.is_exporting():
            return self._mapped(x.double())
        size = max(1, CELLS // max(1, x[:1].numel()))  # the map makes about twenty float64 copies of its rows
        return torch.cat([self._mapped(rows.double()) for rows in x.split(size)])

    @override
    def inverse(self, x: Tensor) -> Tensor:
        low, high = (self.values[:, edge].view(per_feature(x)) for edge in (0, -1))
        between: Tensor = low + torch.special.ndtr(x) * (high - low)
        return between

    def _mapped(self, x: Tensor) -> Tensor:
        edge = 0.5 / self.values.shape[1]  # the outermost values are not infinitely far out
        normal = normal_quantile(ranks(x, self.values).clamp(edge, 1 - edge))
        varies = (self.values[:, 0] < self.values[:, -1]).view(per_feature(x))
        return torch.where(varies | x.isnan(), normal, 0.0).float().contiguous()


class Unchanged(Normalizer):
    """No normalization: the exported graph that receives the rows normalizes them."""

    @override
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns bytes unchanged, and other numbers as float64, so that no digit is lost."""
        return x if x.dtype == torch.uint8 else x.double()

    @override
    def inverse(self, x: Tensor) -> Tensor:
        return x


def learn(
    x: Tensor, method: Method, lengths: Tensor | None = None, ends: tuple[Tensor, Tensor] | None = None
) -> Normalizer:
    """Fits the normalization of train rows (N, F) or (N, C, ...); a feature that never varies becomes 0, later too.

    Of rows (N, C, T) the first ``lengths`` (N,) steps are no padding. Where the rows are a sample, ``ends`` are the
    least and the greatest value (F,) in all rows. Raises ``ValueError`` for a method that does not exist.
    """
    if method == "series":
        return SeriesNormalization.learn(x, lengths)
    if method == "none":
        return fit(x, method, lengths)
    columns = _columns(x, lengths)
    low, high = columns.aminmax(dim=1) if ends is None else ends
    if method != "quantile":
        return without_constants(fit(columns.T, method), low, high)
    steps = numpy.linspace(0, 1, max(2, min(MAX_QUANTILES, columns.shape[1])))
    values = numpy.quantile(columns.numpy(), steps, axis=1).T
    ascending = numpy.maximum.accumulate(values, axis=1)  # rounding may have put two out of order
    return without_constants(Quantiles(torch.tensor(ascending)), low, high)


def restore(state: dict[str, Tensor]) -> Normalizer:
    """Returns the normalization with a ``state_dict()``."""
    if not state:
        return Unchanged()
    if "least" in state:
        return SeriesNormalization(**state)
    return Quantiles(**state) if "values" in state else Statistics(**state)


def fit(x: Tensor, method: Method, lengths: Tensor | None = None) -> Statistics:
    """Computes statistics of rows (N, F) per column, or of (N, C, ...) per channel over all positions but padding.

    A feature that never varies gets scale 1. Raises ``ValueError`` for a method that does not exist.
    """
    columns = _columns(x, lengths)
    if not len(columns) or method == "none":  # without columns it is a table of categories alone
        return Statistics(torch.zeros(len(columns)).double(), torch.ones(len(columns)).double())
    low, high = columns.aminmax(dim=1)
    match method:
        case "standard":
            center, scale = columns.mean(dim=1), columns.std(dim=1, correction=0)
        case "minmax":
            center, scale = low, high - low
        case "robust":
            # numpy's quantile has no limit on the number of values, torch's has one.
            quarters = torch.from_numpy(numpy.quantile(columns.numpy(), [0.25, 0.5, 0.75], axis=1))
            center, scale = quarters[1], quarters[2] - quarters[0]
        case _:
            raise ValueError(f"normalize {method!r} is unknown; it is standard, minmax, robust, quantile or none")
    return Statistics(center, positive_scale(scale, low, high))


def is_constant(low: Tensor, high: Tensor) -> Tensor:
    """Returns True for each feature (F,) whose least and greatest value are one value, up to rounding."""
    return high - low <= ROUNDING * torch.maximum(low.abs(), high.abs())


def without_constants(normalizer: Normalizer, low: Tensor, high: Tensor) -> Normalizer:
    """Returns a normalization under which features (F,) with one value, up to rounding, become 0.

    No row trains their weights, so that no prediction may depend on a value that they take later.
    """
    constant = is_constant(low, high)
    if isinstance(normalizer, Quantiles):
        return Quantiles(normalizer.values.where(~constant.unsqueeze(1), low.unsqueeze(1)))
    assert isinstance(normalizer, Statistics)
    return Statistics(normalizer.center, normalizer.scale.where(~constant, torch.inf))


def positive_scale(scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Returns scales (F,), 1 in place of the rounding error that the deviation of a constant is."""
    varies = (low < high) & (scale > ROUNDING * torch.maximum(low.abs(), high.abs()))
    return scale.where(varies, 1.0)


def _columns(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Rows (N, F) or (N, C, ...) -> float64 (features, values)."""
    by_feature = x.double().transpose(0, 1)
    return by_feature.flatten(1) if lengths is None else by_feature[:, valid(lengths, x.shape[-1])]
