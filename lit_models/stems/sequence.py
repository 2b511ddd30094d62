"""Stems of series (N, C, T) and texts (N, T).

Rows may be padded on the right; ``lengths`` (N,) int64, each at least 1, is then the number of steps of each row.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lit_models.networks.padding import is_padding, masked_mean


class Transpose(nn.Module):
    """Turns a series (N, C, T) into its steps (N, T, C), or back; and an image (N, C, H, W) into (N, H, C, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Swaps the first two axes of a row."""
        return x.transpose(1, 2)


class FlatSeries(nn.Module):
    """Flattens a series to a vector of ``steps`` steps, with zeros after a row's end."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, C, T) and (N,) -> (N, C * steps)."""
        if lengths is not None:
            x = x.masked_fill(is_padding(lengths, x.shape[2]).unsqueeze(1), 0.0)
            x = functional.pad(x, (0, self.steps - x.shape[2]))
        return x.flatten(1)


class MeanOfTokens(nn.Module):
    """Computes the mean of a text's token embeddings: fastText's text vector (Joulin et al. 2016)."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.embedding = token_embedding(vocab_size, width)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T) int64 and (N,) -> (N, width)."""
        return masked_mean(self.embedding(ids), None if lengths is None else is_padding(lengths, ids.shape[1]))


class MeanOfTokensAndPairs(nn.Module):
    """Computes the mean of the embeddings of a text's tokens and of its pairs of neighbouring tokens, as fastText does.

    A pair's embedding is that of one of ``buckets``, by a hash of its two ids. All are zero at first, and those of no
    pair of the train rows stay so.
    """

    def __init__(self, vocab_size: int, width: int, buckets: int) -> None:
        super().__init__()
        self.buckets = buckets
        self.embedding = token_embedding(vocab_size, width)
        self.pairs = nn.Embedding(buckets, width)
        nn.init.zeros_(self.pairs.weight)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T) int64 and (N,) -> (N, width)."""
        steps = torch.full((len(ids),), ids.shape[1], device=ids.device) if lengths is None else lengths
        # A multiplier far from a power of two, so that ids that differ by little come to buckets far apart.
        bucket = (ids[:, :-1] * 1_000_003 + ids[:, 1:] * 7_919) % self.buckets
        tokens = self.embedding(ids).masked_fill(is_padding(steps, ids.shape[1]).unsqueeze(2), 0.0)
        pairs = self.pairs(bucket).masked_fill(is_padding(steps - 1, ids.shape[1] - 1).unsqueeze(2), 0.0)
        mean: Tensor = (tokens.sum(dim=1) + pairs.sum(dim=1)) / (2 * steps - 1).unsqueeze(1)
        return mean


def token_embedding(vocab_size: int, width: int) -> nn.Embedding:
    """Creates embeddings of token ids: zero for the padding id 0, else normal with the scale of a table's tokens.

    torch's own scale of 1 would be far above that of a transformer's positions, and let rare tokens dominate.
    """
    embedding = nn.Embedding(vocab_size, width, padding_idx=0)
    with torch.no_grad():
        embedding.weight *= width**-0.5
    return embedding
