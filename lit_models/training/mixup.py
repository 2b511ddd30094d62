"""Mixup: a network is trained on mixtures of two rows (Zhang et al. 2018, "Beyond empirical risk minimization")."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.distributions import Beta

from lit_models.errors import ConfigError
from lit_models.networks.padding import is_padding
from lit_models.training.batch import Batch


class Mixup:
    """Mixes a batch with a permutation of itself, and its two losses by the same lambda.

    As in the authors' code, a batch has one lambda, drawn from Beta(alpha, alpha), and the loss is the weighted sum of
    the losses against either row's target. For cross entropy that is the loss against the mixed target, and the squared
    error has its gradient. A series that ends before the other is filled with zeros, the mean if standardized.
    """

    def __init__(self, alpha: float, cardinalities: Sequence[int], vocab_size: int) -> None:
        if not 0 < alpha < math.inf:
            raise ConfigError(f"mixup is the alpha of a Beta distribution, above 0, or 0 for none, and it is {alpha}")
        if cardinalities or vocab_size:
            rows = "a text's tokens" if vocab_size else "a table with categorical columns"
            raise ConfigError(f"mixup mixes rows of numbers, and {rows} cannot be mixed; leave --model.mixup out")
        parameter = torch.tensor(alpha, dtype=torch.float64)
        self.lambdas = Beta(parameter, parameter)

    def loss(self, batch: Batch, network: Callable[[Batch], Tensor], loss: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """Computes the loss of a mixed batch by functions of its outputs and their loss; ``batch`` does not change."""
        weight = float(self.lambdas.sample())
        x, lengths = batch["x"], batch.get("lengths")
        order = torch.randperm(len(x), device=x.device)
        mixed = dict(batch)
        if lengths is not None:
            x = x.masked_fill(is_padding(lengths, x.shape[2]).unsqueeze(1), 0.0)
            mixed["lengths"] = torch.maximum(lengths, lengths[order])
        mixed["x"] = x.lerp(x.index_select(0, order), 1 - weight)
        outputs = network(mixed)
        return weight * loss(outputs, batch) + (1 - weight) * loss(outputs, {**batch, "y": batch["y"][order]})
