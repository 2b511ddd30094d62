"""The convolutional network, over one dimension (series, tables) or two (images)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class CNN(nn.Module):
    """Blocks of convolution, batch norm, halving max-pool, ReLU; then global average pooling and a head.

    The ReLU comes after the max-pool: the two commute, so the outputs are the same, and it has half (1-D) or a
    quarter (2-D) of the elements left to work on.

    Args:
        in_channels: Channels of the input grid.
        out_features: Number of outputs.
        dims: 1 for (N, C, L) grids, 2 for (N, C, H, W).
        channels: Channels of each block, at least one.
        kernel_size: Side of the kernels, odd, so that padding keeps the size.
        dropout: Probability of zeroing a pooled feature ahead of the head, in [0, 1).
        pool_blocks: How many of the first blocks halve the grid; the others keep its size.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        dims: int = 1,
        channels: Sequence[int] = (64, 128, 128),
        kernel_size: int = 5,
        dropout: float = 0.1,
        pool_blocks: int = 2,
    ) -> None:
        super().__init__()
        if dims not in (1, 2):
            raise ValueError(f"CNN convolves over 1 or 2 dimensions, and the input grid has {dims}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that padding keeps the size, and it is {kernel_size}")
        conv, norm, pool = (
            (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d) if dims == 1 else (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d)
        )
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise((in_channels, *channels))):
            layers += [conv(before, after, kernel_size, padding=kernel_size // 2, bias=False), norm(after)]
            if index < pool_blocks:
                layers += [pool(2, ceil_mode=True)]  # ceil_mode: a side of 1 stays 1 instead of vanishing
            layers += [nn.ReLU()]
        self.blocks = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels[-1], out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, L) or (N, in_channels, H, W) -> (N, out_features)."""
        features = self.blocks(x).flatten(2).mean(dim=2)
        outputs: Tensor = self.head(self.dropout(features))
        return outputs
