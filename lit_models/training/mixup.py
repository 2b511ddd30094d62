"""Mixup: a network is trained on mixtures of two rows (Zhang et al. 2018, "Beyond empirical risk minimization")."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Beta

from lit_models.errors import ConfigError
from lit_models.networks.padding import is_padding
from lit_models.training.loss_precision import at_least_float32, loss_of

if TYPE_CHECKING:
    from lit_models.base import LitModel
    from lit_models.training.batch import Batch


class Mixup:
    """Mixes a batch with itself in another order, and its losses likewise.

    As in the authors' code, a batch has one share, drawn from Beta(alpha, alpha), and the loss is the weighted sum of
    those against either row's target. Cross entropy is then that against the mixed target, and the squared error has
    its gradient; any other loss works too. A series that ends before the other is filled with zeros, the train rows'
    mean where they are standardized. All draws are those of torch's own generator.

    Args:
        alpha: Above 0; 0.2 mixes little, 1 draws any share equally often.
        cardinalities: As a ``LitModel`` has them.
        vocab_size: The same.

    Raises:
        ConfigError: For an alpha that no distribution has, and for rows that are no numbers.
    """

    def __init__(self, alpha: float, cardinalities: Sequence[int], vocab_size: int) -> None:
        if not 0 < alpha < math.inf:
            raise ConfigError(f"mixup is the alpha of a Beta distribution, above 0, or 0 for none, and it is {alpha}")
        if cardinalities or vocab_size:
            rows = "a text's tokens" if vocab_size else "a table with categorical columns"
            raise ConfigError(f"mixup mixes rows of numbers, and {rows} cannot be mixed; leave --model.mixup out")
        one = torch.tensor(alpha, dtype=torch.float64)
        self.shares = Beta(one, one)

    def loss(self, model: "LitModel", batch: "Batch") -> Tensor:
        """The loss of a mixed batch; what is in ``batch`` stays as it is."""
        share = float(self.shares.sample())
        x, lengths = batch["x"], batch.get("lengths")
        order = torch.randperm(len(x), device=x.device)
        if lengths is not None:
            x = x.masked_fill(is_padding(lengths, x.shape[2]).unsqueeze(1), 0.0)
            lengths = torch.maximum(lengths, lengths[order])
        outputs = at_least_float32(model(x.lerp(x.index_select(0, order), 1 - share), lengths=lengths))
        target = model.task.loss_target(batch["y"], outputs.dtype)
        first, second = (loss_of(model.loss, outputs, one) for one in (target, target[order]))
        return share * first + (1 - share) * second
