"""Stems of tables: numbers (N, F) and category indices (N, C)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Row = Tensor | tuple[Tensor, Tensor]  # numbers (N, F) alone, or with category indices (N, C) int64
RESERVED = 2  # number of first indices of a column: a category without train rows, and a missing value


def embedding_width(cardinality: int) -> int:
    """Returns a width that grows slowly with the number of categories: fastai's rule of thumb."""
    return min(64, round(1.6 * math.pow(cardinality, 0.56)))


class ColumnVector(nn.Module):
    """Concatenates numbers and an embedding of each category to a vector (N, features)."""

    def __init__(self, num_numbers: int, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(_embedding(size, embedding_width(size), 1.0) for size in cardinalities)
        self.features = num_numbers + sum(map(embedding_width, cardinalities))

    def forward(self, row: tuple[Tensor, Tensor]) -> Tensor:
        """(N, F) and (N, C) -> (N, features)."""
        numbers, categories = row
        embedded = [embedding(categories[:, column]) for column, embedding in enumerate(self.embeddings)]
        return torch.cat([numbers, *embedded], dim=1)


class ColumnTokens(nn.Module):
    """Makes a token per column, as Gorishniy et al. 2021, "Revisiting deep learning for tabular data".

    A number is multiplied with its column's weight vector, a category looks up its embedding; each column adds a bias.
    """

    def __init__(self, num_numbers: int, cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        scale = width**-0.5
        self.weight = nn.Parameter(torch.randn(num_numbers, width) * scale)
        self.bias = nn.Parameter(torch.randn(num_numbers + len(cardinalities), width) * scale)
        self.embeddings = nn.ModuleList(_embedding(size, width, scale) for size in cardinalities)

    def forward(self, row: Row) -> Tensor:
        """(N, F) and (N, C) -> (N, F + C, width)."""
        numbers, categories = row if isinstance(row, tuple) else (row, None)
        tokens = [numbers.unsqueeze(2) * self.weight]
        if categories is not None:
            tokens += [embedding(categories[:, [column]]) for column, embedding in enumerate(self.embeddings)]
        return torch.cat(tokens, dim=1) + self.bias


def _embedding(size: int, width: int, scale: float) -> nn.Embedding:
    weight = torch.randn(size, width) * scale
    weight[:RESERVED] = 0  # never trained, so that zero is better than a random vector
    embedding: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)
    return embedding
