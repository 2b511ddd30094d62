"""Stems: from what a modality's rows look like to what an architecture eats.

Three functions, one for each thing that architectures eat: a ``vector`` (N, F), a ``grid`` (N, C, L) or (N, C, H, W), a
``sequence`` (N, T, D). Each takes the data's facts and returns the module together with the shape of one row behind it.
A new modality is a new case in each. A table with categorical columns comes as a pair, see ``columns.py``.
"""

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

from torch import Tensor, nn

from lit_models.columns import ColumnTokens, ColumnVector
from lit_models.errors import ConfigError

Modality = Literal["table", "series", "image"]
"""table: rows of shape (F,), beside which there may be categories; series: (C, T); image: (C, H, W)."""

TOKEN_WIDTH = 32
"""Size of a table column's token where an architecture has none of its own."""

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


def to_vector(modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int] = ()) -> Stem:
    """Every modality flattened to (N, F), the categories of a table embedded."""
    _check(modality, input_shape, cardinalities)
    if cardinalities:
        columns = ColumnVector(input_shape[0], cardinalities)
        return Stem(columns, (columns.features,))
    return Stem(nn.Flatten(), (prod(input_shape),))


def to_grid(
    modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int] = (), token_width: int = TOKEN_WIDTH
) -> Stem:
    """Series and images as they are; a table as a series of its columns with ``token_width`` channels."""
    _check(modality, input_shape, cardinalities)
    match modality:
        case "table":
            tokens, (length, channels) = to_sequence(modality, input_shape, cardinalities, token_width)
            return Stem(nn.Sequential(tokens, Transpose()), (channels, length))
        case "series" | "image":
            return Stem(nn.Identity(), tuple(input_shape))


def to_sequence(
    modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int] = (), token_width: int = TOKEN_WIDTH
) -> Stem:
    """A series by its steps, an image by its rows, a table by its columns, each a token of ``token_width``."""
    _check(modality, input_shape, cardinalities)
    match modality:
        case "table":
            length = sum(input_shape) + len(cardinalities)
            return Stem(ColumnTokens(input_shape[0], cardinalities, token_width), (length, token_width))
        case "series":
            channels, length = input_shape
            return Stem(Transpose(), (length, channels))
        case "image":
            channels, height, width = input_shape
            return Stem(ImageRows(), (height, channels * width))


def _check(modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int]) -> None:
    if modality not in DIMS:
        raise ConfigError(f"modality {modality!r} is unknown; it is one of {', '.join(DIMS)}")
    if cardinalities and (modality != "table" or min(cardinalities) < 1):
        raise ConfigError(
            f"cardinalities are those of a table's categorical columns, each at least 1, and they are "
            f"{tuple(cardinalities)} with modality {modality}"
        )
    smallest = 0 if cardinalities else 1
    if len(input_shape) != DIMS[modality] or any(size < smallest for size in input_shape):
        raise ConfigError(
            f"a row of modality {modality} has {DIMS[modality]} sizes of at least {smallest}, "
            f"and input_shape is {tuple(input_shape)}"
        )
