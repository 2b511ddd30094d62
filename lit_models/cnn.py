"""The convolutional network as a LightningModule."""

from collections.abc import Sequence
from typing import Any

from lit_models.base import LitModel
from lit_models.networks import CNN
from lit_models.networks.norms import Norm
from lit_models.stems.stem import Stemmed, to_grid


class LitCNN(LitModel):
    """Convolutions with a norm and max-pooling, over time for series and texts, over rows and columns for images.

    Args:
        channels: Channels of each block.
        kernel_size: Side of the kernels, odd; one for all blocks, or one for each.
        dropout: Probability of zeroing a pooled feature, in [0, 1).
        pool_blocks: Number of first blocks that halve the grid.
        norm: Batch norm over the batch and the grid, layer norm over the channels of each position, or none.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128),
        kernel_size: int | Sequence[int] = 5,
        dropout: float = 0.1,
        pool_blocks: int = 2,
        norm: Norm = "batch",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        stem = to_grid(*self.row_facts)
        in_channels, *grid = stem.shape
        cnn = CNN(in_channels, self.num_outputs, len(grid), channels, kernel_size, dropout, pool_blocks, norm)
        self.network = Stemmed(stem, cnn)
