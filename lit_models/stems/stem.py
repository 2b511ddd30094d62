"""Stems: from the rows of a modality to the input of an architecture.

Architectures take a ``vector`` (N, F), a ``grid`` (N, C, L) or (N, C, H, W), or a ``sequence`` (N, T, D). A table with
categorical columns comes as a pair, see ``table.py``; series and texts may be padded, see ``sequence.py``.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

from torch import Tensor, nn

from lit_models.errors import ConfigError
from lit_models.stems.sequence import FlatSeries, MeanOfTokens, Transpose, token_embedding
from lit_models.stems.table import PLAIN, ColumnTokens, ColumnVector, Embeddings

Modality = str
"""A key of ``STEMS``: table, rows of shape (F,), beside which there may be categories; series (C, T); image (C, H, W);
text (T,) ids."""

COLUMN_WIDTH = 32  # size of a table column's token if the architecture sets none
WORD_WIDTH = 64  # size of a text token's embedding if the architecture sets none


class Stem(NamedTuple):
    """Module and the shape of one row of its output."""

    module: nn.Module
    shape: tuple[int, ...]


class Stemmed(nn.Module):
    """Stem and network in sequence; lengths go to the one that pools the steps, which is the stem of a vector."""

    def __init__(self, stem: Stem, body: nn.Module) -> None:
        super().__init__()
        self.stem = stem.module
        self.body = body
        self.is_vector = len(stem.shape) == 1

    def forward(self, x: Tensor, categories: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        """Rows (N, *input_shape), the categories (N, C) of a table, lengths (N,) of padded rows -> the outputs."""
        row = x if categories is None else (x, categories)
        ends = () if lengths is None else (lengths,)
        outputs: Tensor = self.body(self.stem(row, *ends)) if self.is_vector else self.body(self.stem(row), *ends)
        return outputs


class Row(NamedTuple):
    """Facts about a row."""

    shape: tuple[int, ...]  # ``input_shape`` of the data
    cardinalities: tuple[int, ...] = ()  # those of a table's categorical columns
    vocab_size: int = 0  # number of a text's token ids
    embeddings: Embeddings = PLAIN  # of a table's columns
    token_width: int | None = None  # features of a column's or text's token; None for the default


class ModalityStems(NamedTuple):
    """Stems of a modality."""

    dims: int  # number of sizes of a row's shape
    vector: Callable[[Row], Stem]  # to a module to (N, F)
    sequence: Callable[[Row], Stem]  # to a module to (N, T, D)
    grid: Callable[[Row], Stem] | None = None  # to (N, C, L) or (N, C, H, W); None: the sequence's tokens
    rows: Callable[[Row], Stem] | None = None  # to what a network of another package takes; None: as they are
    has_categories: bool = False  # a row may have category indices
    has_tokens: bool = False  # a row is token ids


def _table_vector(row: Row) -> Stem:
    if not row.cardinalities and row.embeddings.numbers == "linear":
        return Stem(nn.Identity(), row.shape)
    columns = ColumnVector(row.shape[0], row.cardinalities, row.embeddings)
    return Stem(columns, (columns.features,))


def _table_tokens(row: Row) -> Stem:
    width = row.token_width or COLUMN_WIDTH
    columns = ColumnTokens(row.shape[0], row.cardinalities, width, row.embeddings)
    return Stem(columns, (sum(row.shape) + len(row.cardinalities), width))


def _text_tokens(row: Row) -> Stem:
    width = row.token_width or WORD_WIDTH
    return Stem(token_embedding(row.vocab_size, width), (row.shape[0], width))


def _image_rows(row: Row) -> Stem:
    """Stem of the rows of pixels from top to bottom: (N, C, H, W) -> (N, H, C * W)."""
    channels, height, width = row.shape
    return Stem(nn.Sequential(Transpose(), nn.Flatten(2)), (height, channels * width))


def _unchanged(row: Row) -> Stem:
    return Stem(nn.Identity(), row.shape)


STEMS = {
    "table": ModalityStems(1, _table_vector, _table_tokens, rows=_table_vector, has_categories=True),
    "series": ModalityStems(
        dims=2,
        vector=lambda row: Stem(FlatSeries(row.shape[1]), (prod(row.shape),)),
        sequence=lambda row: Stem(Transpose(), row.shape[::-1]),
        grid=_unchanged,
    ),
    "image": ModalityStems(3, lambda row: Stem(nn.Flatten(), (prod(row.shape),)), _image_rows, _unchanged),
    "text": ModalityStems(
        dims=1,
        vector=lambda row: Stem(MeanOfTokens(row.vocab_size, WORD_WIDTH), (WORD_WIDTH,)),
        sequence=_text_tokens,
        has_tokens=True,
    ),
}
"""Stems by modality; a new one is a line here, and one in ``datamodules.preprocessing.restore_inputs``."""


def to_vector(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int] = (),
    vocab_size: int = 0,
    embeddings: Embeddings = PLAIN,
) -> Stem:
    """Returns a module to a vector (N, F)."""
    stems, row = _checked(modality, input_shape, cardinalities, vocab_size, embeddings)
    return stems.vector(row)


def to_grid(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int] = (),
    vocab_size: int = 0,
    embeddings: Embeddings = PLAIN,
) -> Stem:
    """Returns a module to a grid (N, C, L) or (N, C, H, W): of a table or a text the series of its tokens."""
    stems, row = _checked(modality, input_shape, cardinalities, vocab_size, embeddings)
    if stems.grid is not None:
        return stems.grid(row)
    tokens, (length, channels) = stems.sequence(row)
    return Stem(nn.Sequential(tokens, Transpose()), (channels, length))


def to_sequence(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int] = (),
    vocab_size: int = 0,
    embeddings: Embeddings = PLAIN,
    token_width: int | None = None,
) -> Stem:
    """Returns a module to a sequence (N, T, D) of steps, rows of pixels, or columns or tokens of ``token_width``."""
    stems, row = _checked(modality, input_shape, cardinalities, vocab_size, embeddings)
    return stems.sequence(row._replace(token_width=token_width))


def to_rows(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int] = (),
    vocab_size: int = 0,
    embeddings: Embeddings = PLAIN,
) -> Stem:
    """Returns a module to what networks usually take: a table's vector (N, F); other rows as they are, texts as ids."""
    stems, row = _checked(modality, input_shape, cardinalities, vocab_size, embeddings)
    return (stems.rows or _unchanged)(row)


def _checked(
    modality: Modality,
    input_shape: Sequence[int],
    cardinalities: Sequence[int],
    vocab_size: int,
    embeddings: Embeddings,
) -> tuple[ModalityStems, Row]:
    if modality not in STEMS:
        raise ConfigError(f"modality {modality!r} is unknown; it is one of {', '.join(STEMS)}")
    stems = STEMS[modality]
    if cardinalities and (not stems.has_categories or min(cardinalities) < 1):
        raise ConfigError(
            f"cardinalities are those of a table's categorical columns, each at least 1, and they are "
            f"{tuple(cardinalities)} with modality {modality}"
        )
    if vocab_size < 2 if stems.has_tokens else vocab_size:
        raise ConfigError(
            f"vocab_size is the number of a text's token ids, at least 2 with padding and unknown, and 0 for other "
            f"modalities; it is {vocab_size} with modality {modality}"
        )
    smallest = 0 if cardinalities else 1
    if len(input_shape) != stems.dims or any(size < smallest for size in input_shape):
        raise ConfigError(
            f"a row of modality {modality} has {stems.dims} sizes of at least {smallest}, "
            f"and input_shape is {tuple(input_shape)}"
        )
    embeddings.check(modality)
    return stems, Row(tuple(input_shape), tuple(cardinalities), vocab_size, embeddings)
