"""The convolutional network of residual blocks as a LightningModule."""

from collections.abc import Sequence
from typing import Any

from lit_models.base import LitModel
from lit_models.networks import ResCNN
from lit_models.stems.stem import Stemmed, to_grid


class LitResCNN(LitModel):
    """Residual blocks of convolutions: for series the ResNet of Wang, Yan & Oates (2017).

    Args:
        channels: Channels of each block.
        kernel_size: Side of each kernel of a block, odd; one convolution for each.
        dropout: Probability of zeroing a pooled feature, in [0, 1).
        pool_blocks: Number of first blocks that halve the grid.
        stochastic_depth: Probability that a row skips the last block in training, in [0, 1); earlier ones less.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128),
        kernel_size: Sequence[int] = (7, 5, 3),
        dropout: float = 0.0,
        pool_blocks: int = 0,
        stochastic_depth: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_grid(*self.row_facts)
        in_channels, *grid = stem.shape
        sizes = (in_channels, self.num_outputs, len(grid), channels, kernel_size)
        self.network = Stemmed(stem, ResCNN(*sizes, dropout, pool_blocks, stochastic_depth))
