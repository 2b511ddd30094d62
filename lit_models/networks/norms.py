"""Norms between an affine map or a convolution and its ReLU."""

from typing import Literal

from torch import Tensor, nn

from lit_models.errors import ConfigError

Norm = Literal["batch", "layer", "none"]
"""``batch``: over the rows of a batch, by unit (Ioffe & Szegedy 2015). ``layer``: over the units, row by row (Ba et al.
2016), and of a grid over the channels, position by position (as in Liu et al. 2022, "A ConvNet for the 2020s")."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each position of a grid, so that padding changes no other position."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, L) or (N, C, H, W) -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def make_norm(norm: Norm, width: int, dims: int) -> nn.Module:
    """Creates a norm over ``width`` units (N, width), or over the channels of a grid of ``dims`` 1 or 2."""
    if norm == "batch":
        return nn.BatchNorm2d(width) if dims == 2 else nn.BatchNorm1d(width)
    if norm == "none":
        return nn.Identity()
    if width < 2:
        raise ValueError(f"norm layer is over the units of a layer, at least 2, and one has {width}; use batch or none")
    return ChannelNorm(width) if dims else nn.LayerNorm(width)


def explain_one_row(error: ValueError) -> None:
    """Raises ``ConfigError`` in place of torch's error that batch norm learns nothing from one row."""
    if "more than 1 value per channel" in str(error):
        raise ConfigError(
            "batch norm needs 2 rows in each process and each accumulated batch, and one has a single row; raise "
            "--data.batch_size, or leave batch norm out (--model.norm layer, where the model has that option)"
        ) from error


def needs_bias(norm: Norm) -> bool:
    """Returns True if the layer before the norm needs a bias: batch norm subtracts it, and has its own shift."""
    return norm != "batch"
