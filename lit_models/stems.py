"""Stems: from what a modality's rows look like to what an architecture eats.

Three functions, one for each thing that architectures eat: a ``vector`` (N, F), a ``grid`` (N, C, L) or (N, C, H, W), a
``sequence`` (N, T, D). Each takes the data's facts and returns the module together with the shape of one row behind it.
A new modality is a new case in each.
"""

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

from torch import Tensor, nn

from lit_models.errors import ConfigError

Modality = Literal["table", "series", "image"]
"""table: rows of shape (F,); series: (C, T); image: (C, H, W)."""

DIMS: dict[str, int] = {"table": 1, "series": 2, "image": 3}


class Stem(NamedTuple):
    """A module and the shape of one row behind it."""

    module: nn.Module
    shape: tuple[int, ...]


class Transpose(nn.Module):
    """(N, C, T) -> (N, T, C): a series as its steps, each with its channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Swap the last two axes."""
        return x.transpose(1, 2)


class ImageRows(nn.Module):
    """(N, C, H, W) -> (N, H, C * W): an image as its rows of pixels, from top to bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """Put the channels beside the columns."""
        return x.transpose(1, 2).flatten(2)


def to_vector(modality: Modality, input_shape: Sequence[int]) -> Stem:
    """Every modality flattened to (N, F)."""
    _check(modality, input_shape)
    return Stem(nn.Flatten(), (prod(input_shape),))


def to_grid(modality: Modality, input_shape: Sequence[int]) -> Stem:
    """Series and images as they are; a table as a series of its columns with one channel."""
    _check(modality, input_shape)
    match modality:
        case "table":
            return Stem(nn.Unflatten(1, (1, -1)), (1, *input_shape))
        case "series" | "image":
            return Stem(nn.Identity(), tuple(input_shape))


def to_sequence(modality: Modality, input_shape: Sequence[int]) -> Stem:
    """A series by its steps, an image by its rows, a table by its columns."""
    _check(modality, input_shape)
    match modality:
        case "table":
            return Stem(nn.Unflatten(1, (-1, 1)), (*input_shape, 1))
        case "series":
            channels, length = input_shape
            return Stem(Transpose(), (length, channels))
        case "image":
            channels, height, width = input_shape
            return Stem(ImageRows(), (height, channels * width))


def _check(modality: Modality, input_shape: Sequence[int]) -> None:
    if modality not in DIMS:
        raise ConfigError(f"modality {modality!r} is unknown; it is one of {', '.join(DIMS)}")
    if len(input_shape) != DIMS[modality] or any(size < 1 for size in input_shape):
        raise ConfigError(
            f"a row of modality {modality} has {DIMS[modality]} sizes of at least 1, "
            f"and input_shape is {tuple(input_shape)}"
        )
