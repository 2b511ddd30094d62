"""Stems of tables, of numbers (N, F) and category indices (N, C), and how columns are embedded."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_models.errors import ConfigError
from lit_models.stems.numbers import EMBEDDINGS, NumbersName

Row = Tensor | tuple[Tensor, Tensor]  # numbers (N, F) alone, or with category indices (N, C) int64
RESERVED = 2  # number of first indices of a column: a category without train rows, and a missing value
NUMBERS_SIZE = 16


class Embeddings(NamedTuple):
    """How the columns of a table are embedded; options of ``LitModel``."""

    numbers: NumbersName = "linear"
    numbers_size: int = NUMBERS_SIZE
    numbers_sigma: float = 1.0
    one_hot: int = 0  # most values of a column of categories that is one-hot in a vector

    def check(self, modality: str) -> None:
        """Raises ``ConfigError`` for embeddings that do not fit the modality, and for sizes that are none."""
        if self.numbers not in ("linear", *EMBEDDINGS):
            raise ConfigError(f"numbers {self.numbers!r} is unknown; it is one of linear, {', '.join(EMBEDDINGS)}")
        if self.numbers != "linear" and modality != "table":
            raise ConfigError(
                f"numbers {self.numbers} embeds the numbers of a table's columns, and the rows are of modality "
                f"{modality}; leave --model.numbers out"
            )
        if self.numbers_size < 1 or not 0 < self.numbers_sigma < math.inf or self.one_hot < 0:
            raise ConfigError(
                "numbers_size is at least 1, numbers_sigma above 0 and one_hot at least 0, and they are "
                f"{self.numbers_size}, {self.numbers_sigma:g} and {self.one_hot}"
            )

    def of_numbers(self, columns: int, width: int) -> nn.Module | None:
        """Returns the embedding of ``columns`` numbers to ``width`` each, or None if they stay."""
        if not columns or self.numbers == "linear":
            return None
        return EMBEDDINGS[self.numbers](columns, width, self.numbers_sigma)


PLAIN = Embeddings()


def embedding_width(cardinality: int) -> int:
    """Returns a width that grows slowly with the number of categories: fastai's rule of thumb."""
    return min(64, round(1.6 * math.pow(cardinality, 0.56)))


class ColumnVector(nn.Module):
    """Concatenates numbers, or an embedding of each, and an embedding of each category to a vector (N, features)."""

    numbers: Any

    def __init__(self, num_numbers: int, cardinalities: Sequence[int], options: Embeddings = PLAIN) -> None:
        super().__init__()
        one_hot = [0 < size - RESERVED <= options.one_hot for size in cardinalities]
        widths = [
            size - RESERVED if hot else embedding_width(size) for size, hot in zip(cardinalities, one_hot, strict=True)
        ]
        self.embeddings = nn.ModuleList(
            OneHot(size) if hot else _embedding(size, width, 1.0)
            for size, width, hot in zip(cardinalities, widths, one_hot, strict=True)
        )
        self.numbers = options.of_numbers(num_numbers, options.numbers_size)
        self.features = num_numbers * (1 if self.numbers is None else options.numbers_size) + sum(widths)

    def forward(self, row: Row) -> Tensor:
        """(N, F) and (N, C) -> (N, features)."""
        numbers, categories = row if isinstance(row, tuple) else (row, None)
        vectors = [numbers if self.numbers is None else self.numbers(numbers).flatten(1)]
        if categories is not None:
            vectors += [embedding(categories[:, column]) for column, embedding in enumerate(self.embeddings)]
        return torch.cat(vectors, dim=1)


class OneHot(nn.Module):
    """A number for each category of a column, 1 for its own; none for an unknown one, a learned vector for missing."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.categories = size - RESERVED
        self.missing = nn.Parameter(torch.zeros(self.categories))

    def forward(self, index: Tensor) -> Tensor:
        """(N,) int64 -> (N, categories)."""
        index = index.unsqueeze(1)
        own = index == torch.arange(RESERVED, RESERVED + self.categories, device=index.device)
        return torch.where(index == 1, self.missing, own.to(self.missing.dtype))


class ColumnTokens(nn.Module):
    """Makes a token per column, as Gorishniy et al. 2021, "Revisiting deep learning for tabular data".

    A number is multiplied with its column's weight vector or embedded, a category looks up its embedding; each column
    adds a bias.
    """

    numbers: Any
    weight: nn.Parameter | None

    def __init__(self, num_numbers: int, cardinalities: Sequence[int], width: int, options: Embeddings = PLAIN) -> None:
        super().__init__()
        scale = width**-0.5
        self.numbers = options.of_numbers(num_numbers, width)
        weight = None if self.numbers else nn.Parameter(torch.randn(num_numbers, width) * scale)
        self.register_parameter("weight", weight)
        self.bias = nn.Parameter(torch.randn(num_numbers + len(cardinalities), width) * scale)
        self.embeddings = nn.ModuleList(_embedding(size, width, scale) for size in cardinalities)

    def forward(self, row: Row) -> Tensor:
        """(N, F) and (N, C) -> (N, F + C, width)."""
        numbers, categories = row if isinstance(row, tuple) else (row, None)
        tokens = [self.numbers(numbers) if self.weight is None else numbers.unsqueeze(2) * self.weight]
        if categories is not None:
            tokens += [embedding(categories[:, [column]]) for column, embedding in enumerate(self.embeddings)]
        return torch.cat(tokens, dim=1) + self.bias


def _embedding(size: int, width: int, scale: float) -> nn.Embedding:
    weight = torch.randn(size, width) * scale
    weight[:RESERVED] = 0  # never trained, so that zero is better than a random vector
    embedding: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)
    return embedding
