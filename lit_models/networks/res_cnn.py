"""The convolutional network of residual blocks (He et al. 2016; for series Wang, Yan & Oates 2017)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_models.networks.cnn import Block, ConvNet, check_odd
from lit_models.networks.stochastic_depth import StochasticDepth, by_depth


class ResidualBlock(nn.Module):
    """Convolutions with batch norm, added to their input, then an optional max-pool and ReLU."""

    def __init__(
        self, in_channels: int, channels: int, dims: int, kernels: Sequence[int], pool: bool, stochastic_depth: float
    ) -> None:
        super().__init__()
        self.chain = nn.ModuleList(
            Block(channels if index else in_channels, channels, dims, kernel, pool=False, relu=index < len(kernels) - 1)
            for index, kernel in enumerate(kernels)
        )
        # The shortcut must have as many channels as the chain.
        same = in_channels == channels
        self.shortcut = None if same else Block(in_channels, channels, dims, 1, pool=False, relu=False)
        self.stochastic_depth = StochasticDepth(stochastic_depth)
        self.relu = nn.ReLU()
        self.pool = (nn.MaxPool1d if dims == 1 else nn.MaxPool2d)(2, ceil_mode=True) if pool else None

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """(N, in_channels, L), where ``padding`` (N, L) is True for padding -> (N, channels, L), or half of L."""
        added = x if self.shortcut is None else self.shortcut(x, padding)
        for block in self.chain:
            x = block(x, padding)
        x = self.stochastic_depth(x) + added
        if self.pool is not None:
            # Padding must not be the maximum of a pair.
            x = self.pool(x if padding is None else x.masked_fill(padding.unsqueeze(1), -torch.inf))
        outputs: Tensor = self.relu(x)
        return outputs


class ResCNN(ConvNet):
    """Residual blocks of convolutions, then global average pooling and a head (options: ``LitResCNN``)."""

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        dims: int = 1,
        channels: Sequence[int] = (64, 128, 128),
        kernel_size: Sequence[int] = (7, 5, 3),
        dropout: float = 0.0,
        pool_blocks: int = 0,
        stochastic_depth: float = 0.0,
    ) -> None:
        if not kernel_size:
            raise ValueError("kernel_size names no convolution of a block; give one size for each")
        check_odd(kernel_size)
        widths = zip(pairwise((in_channels, *channels)), by_depth(stochastic_depth, len(channels)), strict=True)
        blocks = (
            ResidualBlock(before, after, dims, kernel_size, index < pool_blocks, skipped)
            for index, ((before, after), skipped) in enumerate(widths)
        )
        super().__init__(blocks, channels[-1], out_features, dims, dropout)
