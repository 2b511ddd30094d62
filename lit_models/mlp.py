"""The feed-forward network as a LightningModule."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from lit_models.base import LitModel
from lit_models.networks import MLP
from lit_models.stems import to_vector


class LitMLP(LitModel):
    """Feed-forward layers with batch norm and dropout over the flattened row.

    Args:
        hidden: Width of each hidden layer.
        dropout: Probability of zeroing a hidden unit, in [0, 1).
        kwargs: What every model takes, see ``LitModel``.
    """

    def __init__(self, hidden: Sequence[int] = (256, 256), dropout: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        stem, (features,) = to_vector(self.modality, self.input_shape, self.cardinalities)
        self.network = nn.Sequential(stem, MLP(features, self.num_outputs, hidden, dropout))
