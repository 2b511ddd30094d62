"""Random convolution kernels for series, with ridge regression: MiniRocket (Dempster, Schmidt & Webb 2021)."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from datamodules.raw_data import valid

LENGTH = 9
KERNELS = list(combinations(range(LENGTH), 3))
"""Positions of the weight 2 in each of the 84 kernels; the weight of all others is -1."""
FEATURES = 119
"""Features of each kernel: the 9,996 of the paper."""
DILATIONS = 32
"""Largest number of dilations."""
MOST_NUMBERS = 5 * 10**7
"""Rows times features of a ridge regression: more rows get fewer features, so that it takes minutes at most."""
PENALTIES = numpy.logspace(-3, 3, 10)
"""Strengths of the ridge regression, of which leave-one-out on the train rows chooses."""
CELLS = 2**22
"""Comparisons of outputs with biases that are made at a time."""


class PaddedSeries(NamedTuple):
    """Series (N, C, T), 0 from step ``lengths`` (N,) on."""

    x: Tensor
    lengths: Tensor


class Dilated(NamedTuple):
    """The kernels with one dilation, and the thresholds that their outputs are compared with."""

    dilation: int
    weights: Tensor  # (84, C, 9), 0 for the channels that a kernel does not see
    biases: Tensor  # (84, F)
    padded: Tensor  # True for the kernels (84,) whose outputs begin with zeros ahead of the series

    def outputs(self, x: Tensor) -> Tensor:
        """Convolves series (N, C, T) with zeros on either side: (N, 84, T)."""
        return functional.conv1d(x, self.weights, padding=self.dilation * (LENGTH // 2), dilation=self.dilation)

    def features(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Returns the fraction of each series' outputs that are beyond each bias, (N, 84 F).

        Without padding, the outputs are those of kernels that lie inside the series; if none does, padding counts.
        """
        own = valid(lengths, x.shape[2])
        reach = self.dilation * (LENGTH // 2)
        step = torch.arange(x.shape[2])
        inside = own & (step >= reach) & (step < lengths.unsqueeze(1) - reach)
        inside = torch.where(inside.any(dim=1, keepdim=True), inside, own)
        counted = torch.where(self.padded.view(-1, 1), own.unsqueeze(1), inside.unsqueeze(1))  # (N, 84, T)
        outputs = self.outputs(x).masked_fill(~counted, -torch.inf)
        # Counted as a product of float32, which is forty times as fast as the sum of truth values.
        beyond = torch.empty(*outputs.shape[:2], *self.biases.shape[1:], x.shape[2])
        torch.gt(outputs.unsqueeze(2), self.biases.unsqueeze(2), out=beyond)
        return (beyond @ torch.ones(x.shape[2]) / counted.sum(dim=2, keepdim=True)).flatten(1)


def kernel_ridge(regression: bool, seed: int) -> Any:
    """Returns the unfitted pipeline of ``PaddedSeries``: random kernels, standardization, ridge regression."""
    ridge = RidgeCV(PENALTIES) if regression else RidgeProbabilities()
    return make_pipeline(RandomKernels(seed), StandardScaler(), ridge)


class RidgeProbabilities(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Ridge regression of -1 and 1 for each class or label, with probabilities from its scores."""

    def fit(self, x: Any, y: NDArray[Any]) -> "RidgeProbabilities":
        """Fits classes (N,) or labels (N, L)."""
        self.ridge_, self.labels_ = RidgeClassifierCV(PENALTIES).fit(x, y), y.ndim == 2
        return self

    def predict_proba(self, x: Any) -> Any:
        """Returns probabilities (N, K), or of labels a matrix (N, 2) each.

        The logits are twice the scores: where a score is near 0, its probability is that of the line through 0 at -1
        and 1 at 1.
        """
        logits = torch.from_numpy(2 * self.ridge_.decision_function(x))
        if logits.dim() == 2 and not self.labels_:
            return logits.softmax(dim=1).numpy()
        matrices = [torch.stack([-label, label], dim=1).sigmoid().numpy() for label in logits.view(len(logits), -1).T]
        return matrices if self.labels_ else matrices[0]


class RandomKernels(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Transformer of ``PaddedSeries`` to the fractions of convolution outputs beyond biases.

    The biases are quantiles of the outputs of train rows that are drawn. Of several channels, each kernel sees some.

    Args:
        seed: Seed of the rows and channels that are drawn.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, series: PaddedSeries, _: Any = None) -> "RandomKernels":
        """Draws channels and biases."""
        per_kernel = min(FEATURES, max(1, MOST_NUMBERS // (len(KERNELS) * len(series.x))))
        self.groups_ = list(draw_kernels(series, per_kernel, self.seed))
        return self

    def transform(self, series: PaddedSeries) -> NDArray[numpy.float32]:
        """Returns the features (N, 84 x 119) float32."""
        x, most = series.x.float(), max(group.biases.numel() for group in self.groups_)
        parts = torch.arange(len(x)).split(max(1, CELLS // (most * x.shape[2])))
        rows = [torch.cat([g.features(x[i], series.lengths[i]) for g in self.groups_], dim=1) for i in parts]
        return torch.cat(rows).numpy()


def draw_kernels(series: PaddedSeries, per_kernel: int, seed: int) -> Iterator[Dilated]:
    """Yields the kernels of each dilation, with so many biases for each kernel in total."""
    draw = numpy.random.default_rng(seed)
    channels, x = series.x.shape[1], series.x.float()
    pattern = torch.full((len(KERNELS), 1, LENGTH), -1.0)
    for kernel, positions in enumerate(KERNELS):
        pattern[kernel, :, list(positions)] = 2.0
    first = 0
    for index, (dilation, count) in enumerate(dilations(x.shape[2], per_kernel).items()):
        sees = torch.zeros(len(KERNELS), channels, 1)
        for kernel in range(len(KERNELS)):
            number = int(2 ** draw.uniform(0, numpy.log2(min(channels, LENGTH) + 1)))
            sees[kernel, draw.choice(channels, number, replace=False)] = 1.0
        padded = torch.arange(len(KERNELS)) % 2 == index % 2
        group = Dilated(dilation, pattern * sees, torch.zeros(len(KERNELS), count), padded)
        for kernel, row in enumerate(draw.integers(len(x), size=len(KERNELS))):
            alone = group._replace(weights=group.weights[kernel : kernel + 1])
            output = alone.outputs(x[row : row + 1])[0, 0, : series.lengths[row]]
            levels = quantile_levels(first, count)
            group.biases[kernel] = torch.from_numpy(numpy.quantile(output.double().numpy(), levels)).float()
            first += count
        yield group


def dilations(steps: int, per_kernel: int) -> dict[int, int]:
    """Returns the dilations up to the length of the series, and the number of features of a kernel with each."""
    number = min(per_kernel, DILATIONS)
    exponent = max(0.0, numpy.log2(max(1, steps - 1) / (LENGTH - 1)))
    different, counts = numpy.unique(numpy.logspace(0, exponent, number, base=2).astype(int), return_counts=True)
    counts = (counts * (per_kernel / number)).astype(int)
    counts[: per_kernel - counts.sum()] += 1  # fewer are left than there are dilations
    return dict(zip(different.tolist(), counts.tolist(), strict=True))


def quantile_levels(first: int, count: int) -> NDArray[numpy.float64]:
    """Returns consecutive members of the low-discrepancy sequence of the golden ratio, from ``first`` + 1 on."""
    golden = (numpy.sqrt(5) + 1) / 2
    levels: NDArray[numpy.float64] = numpy.arange(first + 1, first + count + 1) * golden % 1
    return levels
