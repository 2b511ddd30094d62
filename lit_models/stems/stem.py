"""Stems from each modality to each kind of network input.

Three functions, one per kind: a ``vector`` (N, F), a ``grid`` (N, C, L) or (N, C, H, W), a ``sequence`` (N, T, D).
Each takes the arguments that describe the data and returns the module with the shape of its output row. A new modality
is a new case in each. A table with categorical columns comes as a pair, see ``table.py``; series and texts may be
padded, see ``sequence.py``.
"""

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

from torch import Tensor, nn

from lit_models.errors import ConfigError
from lit_models.stems.sequence import FlatSeries, MeanOfTokens, Transpose, token_embedding
from lit_models.stems.table import ColumnTokens, ColumnVector

Modality = Literal["table", "series", "image", "text"]
"""table: rows of shape (F,), with or without categories; series: (C, T); image: (C, H, W); text: (T,) ids."""

COLUMN_WIDTH = 32
"""Size of a table column's token if the architecture sets none."""

WORD_WIDTH = 64
"""Size of a text token's embedding if the architecture sets none."""

DIMS: dict[str, int] = {"table": 1, "series": 2, "image": 3, "text": 1}


class Stem(NamedTuple):
    """Module and the shape of one row of its output."""

    module: nn.Module
    shape: tuple[int, ...]


class Stemmed(nn.Module):
    """Stem and network in sequence.

    Categories go to the stem. Lengths go to the module that pools the steps: the stem of a vector, else the network.

    Args:
        stem: Turns rows into the network's inputs.
        body: The network.
    """

    def __init__(self, stem: Stem, body: nn.Module) -> None:
        super().__init__()
        self.stem = stem.module
        self.body = body
        self.is_vector = len(stem.shape) == 1

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Rows (N, *input_shape), the categories (N, C) of a table, lengths (N,) of padded rows -> the outputs."""
        row = x if categories is None else (x, categories)
        outputs: Tensor
        if lengths is None:
            outputs = self.body(self.stem(row))
        elif self.is_vector:
            outputs = self.body(self.stem(row, lengths))
        else:
            outputs = self.body(self.stem(row), lengths)
        return outputs


class ImageRows(nn.Module):
    """Turns an image (N, C, H, W) into its rows of pixels from top to bottom (N, H, C * W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, H, C * W)."""
        return x.transpose(1, 2).flatten(2)


def to_vector(
    modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int] = (), vocab_size: int = 0
) -> Stem:
    """Returns a stem to (N, F): rows flattened, a table's categories embedded, a text's tokens averaged."""
    _check(modality, input_shape, cardinalities, vocab_size)
    if cardinalities:
        columns = ColumnVector(input_shape[0], cardinalities)
        return Stem(columns, (columns.features,))
    match modality:
        case "table":
            return Stem(nn.Identity(), tuple(input_shape))
        case "image":
            return Stem(nn.Flatten(), (prod(input_shape),))
        case "series":
            return Stem(FlatSeries(input_shape[1]), (prod(input_shape),))
        case "text":
            return Stem(MeanOfTokens(vocab_size, WORD_WIDTH), (WORD_WIDTH,))


def to_grid(
    modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int] = (), vocab_size: int = 0
) -> Stem:
    """Returns a stem to a grid: series and images unchanged, a table or text as a series of its tokens."""
    _check(modality, input_shape, cardinalities, vocab_size)
    match modality:
        case "table" | "text":
            tokens, (length, channels) = to_sequence(modality, input_shape, cardinalities, vocab_size)
            return Stem(nn.Sequential(tokens, Transpose()), (channels, length))
        case "series" | "image":
            return Stem(nn.Identity(), tuple(input_shape))


def to_sequence(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int] = (),
    vocab_size: int = 0,
    token_width: int | None = None,
) -> Stem:
    """Returns a stem to (N, T, D): a series by steps, an image by rows, a table by columns, a text by tokens.

    A column or a text token has ``token_width`` features, or the modality's default.
    """
    _check(modality, input_shape, cardinalities, vocab_size)
    match modality:
        case "table":
            width = token_width or COLUMN_WIDTH
            length = sum(input_shape) + len(cardinalities)
            return Stem(ColumnTokens(input_shape[0], cardinalities, width), (length, width))
        case "series":
            channels, length = input_shape
            return Stem(Transpose(), (length, channels))
        case "image":
            channels, height, width = input_shape
            return Stem(ImageRows(), (height, channels * width))
        case "text":
            width = token_width or WORD_WIDTH
            return Stem(token_embedding(vocab_size, width), (input_shape[0], width))


def _check(modality: Modality, input_shape: Sequence[int], cardinalities: Sequence[int], vocab_size: int) -> None:
    if modality not in DIMS:
        raise ConfigError(f"modality {modality!r} is unknown; it is one of {', '.join(DIMS)}")
    if cardinalities and (modality != "table" or min(cardinalities) < 1):
        raise ConfigError(
            f"cardinalities are those of a table's categorical columns, each at least 1, and they are "
            f"{tuple(cardinalities)} with modality {modality}"
        )
    if vocab_size < 2 if modality == "text" else vocab_size:
        raise ConfigError(
            f"vocab_size is the number of a text's token ids, at least 2 with padding and unknown, and 0 for other "
            f"modalities; it is {vocab_size} with modality {modality}"
        )
    smallest = 0 if cardinalities else 1
    if len(input_shape) != DIMS[modality] or any(size < smallest for size in input_shape):
        raise ConfigError(
            f"a row of modality {modality} has {DIMS[modality]} sizes of at least {smallest}, "
            f"and input_shape is {tuple(input_shape)}"
        )
