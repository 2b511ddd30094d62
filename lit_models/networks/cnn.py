"""The convolutional network, over one dimension (series, tables) or two (images)."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from lit_models.networks.norms import Norm, make_norm, needs_bias
from lit_models.networks.padding import is_padding, masked_mean


def check_odd(kernels: Sequence[int]) -> None:
    """Raises ``ValueError`` for an even kernel size."""
    if even := [kernel for kernel in kernels if kernel % 2 == 0]:
        raise ValueError(f"kernel_size must be odd, so that padding keeps the size, and it is {even[0]}")


class Block(nn.Module):
    """Convolution, norm, optional max-pool that halves the grid, and optional ReLU.

    The ReLU comes after the max-pool: the two commute, and it then has half (1-D) or a quarter (2-D) of the elements.
    ``dims`` is 1 for (N, C, L) grids, 2 for (N, C, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dims: int,
        kernel_size: int,
        pool: bool,
        relu: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        conv, max_pool = (nn.Conv1d, nn.MaxPool1d) if dims == 1 else (nn.Conv2d, nn.MaxPool2d)
        self.conv = conv(in_channels, channels, kernel_size, padding=kernel_size // 2, bias=needs_bias(norm))
        self.norm = make_norm(norm, channels, dims)
        self.pool = max_pool(2, ceil_mode=True) if pool else None  # ceil_mode: a side of 1 stays 1 and does not vanish
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """(N, in_channels, L), where ``padding`` (N, L) is True for padding -> (N, channels, L), or half of L."""
        if padding is None:
            x = self.norm(self.conv(x))
        else:
            x = self._norm_without(padding, self.conv(x.masked_fill(padding.unsqueeze(1), 0.0)))
        if self.pool is not None:
            # Padding must not be the maximum of a pair.
            x = self.pool(x if padding is None else x.masked_fill(padding.unsqueeze(1), -torch.inf))
        outputs: Tensor = self.relu(x)
        return outputs

    def _norm_without(self, padding: Tensor, x: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, L); in training without padding in the batch statistics."""
        if not self.training:
            normed: Tensor = self.norm(x)
            return normed
        grid = x.transpose(1, 2)  # (N, L, C)
        # One wait for a GPU, in place of one in each of the next two lines.
        counts = (~padding).flatten().nonzero().squeeze(1)
        steps: Tensor = self.norm(grid.reshape(-1, grid.shape[2]).index_select(0, counts))  # (all rows' steps, C)
        flat = steps.new_zeros(padding.numel(), grid.shape[2]).index_copy(0, counts, steps)
        return flat.view(grid.shape).transpose(1, 2)


class ConvNet(nn.Module):
    """Blocks of a grid and its padding, whose ``pool`` may halve it, global average pooling, dropout and a head."""

    def __init__(
        self, blocks: Iterable[nn.Module], channels: int, out_features: int, dims: int, dropout: float
    ) -> None:
        super().__init__()
        if dims not in (1, 2):
            raise ValueError(f"convolutions go over 1 or 2 dimensions, and the input grid has {dims}")
        self.blocks = nn.ModuleList(blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, out_features)
        # A memory layout in which convolutions over images are faster.
        self.layout = torch.channels_last if dims == 2 else torch.contiguous_format
        self.blocks.to(memory_format=self.layout)  # type: ignore[call-overload]  # missing from torch's annotations

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, in_channels, L), with ``lengths`` (N,) if padded, or (N, in_channels, H, W) -> (N, out_features)."""
        x, padding = x.contiguous(memory_format=self.layout), None
        for block in self.blocks:
            if lengths is not None:
                padding = is_padding(lengths, x.shape[2])
            x = block(x, padding)
            if lengths is not None and block.pool is not None:
                lengths = (lengths + 1) // 2
        if lengths is None:
            pooled = x.mean(dim=tuple(range(2, x.dim())))
        else:
            pooled = masked_mean(x.transpose(1, 2), is_padding(lengths, x.shape[2]))
        outputs: Tensor = self.head(self.dropout(pooled))
        return outputs


class CNN(ConvNet):
    """Blocks of convolution, norm, halving max-pool, ReLU; global average pooling, a head (options: ``LitCNN``)."""

    def __init__(
        self,
        in_channels: int,
        out_features: int,
        dims: int = 1,
        channels: Sequence[int] = (64, 128, 128),
        kernel_size: int | Sequence[int] = 5,
        dropout: float = 0.1,
        pool_blocks: int = 2,
        norm: Norm = "batch",
    ) -> None:
        kernels = [kernel_size] * len(channels) if isinstance(kernel_size, int) else [*kernel_size]
        if len(kernels) != len(channels):
            raise ValueError(f"kernel_size has {len(kernels)} sizes for {len(channels)} blocks; give one for each")
        check_odd(kernels)
        widths = zip(pairwise((in_channels, *channels)), kernels, strict=True)
        blocks = (
            Block(before, after, dims, kernel, pool=index < pool_blocks, norm=norm)
            for index, ((before, after), kernel) in enumerate(widths)
        )
        super().__init__(blocks, channels[-1], out_features, dims, dropout)
