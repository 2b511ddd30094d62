"""The feed-forward network of residual blocks as a LightningModule."""

from typing import Any

from lit_models.base import LitModel
from lit_models.networks import ResMLP
from lit_models.stems.stem import Stemmed, to_vector


class LitResMLP(LitModel):
    """Residual blocks of feed-forward layers over the flattened row: the ResNet of Gorishniy et al. (2021).

    Args:
        width: Length of the vector from block to block.
        num_blocks: Number of blocks.
        expansion: Length of the vector inside a block, as a multiple of ``width``.
        dropout: Probability of zeroing a unit inside a block, in [0, 1).
        residual_dropout: Probability of zeroing a unit of what a block adds, in [0, 1).
        stochastic_depth: Probability that a row skips the last block in training, in [0, 1); earlier ones less.
    """

    def __init__(
        self,
        width: int = 192,
        num_blocks: int = 2,
        expansion: float = 2.0,
        dropout: float = 0.2,
        residual_dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_vector(*self.row_facts)
        sizes = (stem.shape[0], self.num_outputs, width, num_blocks, expansion)
        self.network = Stemmed(stem, ResMLP(*sizes, dropout, residual_dropout, stochastic_depth))
