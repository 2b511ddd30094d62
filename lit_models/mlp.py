"""The feed-forward network as a LightningModule."""

from collections.abc import Sequence
from typing import Any

from lit_models.base import LitModel
from lit_models.networks import MLP
from lit_models.networks.norms import Norm
from lit_models.stems.stem import Stemmed, to_vector


class LitMLP(LitModel):
    """Feed-forward layers with a norm and dropout over the flattened row.

    Args:
        hidden: Width of each hidden layer.
        dropout: Probability of zeroing a hidden unit, in [0, 1).
        norm: Batch norm over the rows of a batch, layer norm over the units of a layer, or none.
        input_dropout: Probability of zeroing an input, in [0, 1), as Wang, Yan & Oates (2017) do with series.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.1,
        norm: Norm = "batch",
        input_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_vector(*self.row_facts)
        body = MLP(stem.shape[0], self.num_outputs, hidden, dropout, norm, input_dropout)
        self.network = Stemmed(stem, body)
