"""Texts as the ids of their tokens, padded to one length, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.splitting.splits import PARTS, Split
from datamodules.texts.vocabulary import UNKNOWN, Vocabulary


@dataclass
class TokenIds:
    """N texts, each cut to T tokens or padded; a text without a token is one unknown token.

    Args:
        ids: (N, T) int32, 0 behind a text's end.
        lengths: How many ids of each row are no padding (N,) int64, at least 1.
        whole: How many tokens each text has, cut ones included (N,) int64; 0 where it has none.
    """

    ids: Tensor
    lengths: Tensor
    whole: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return self.ids.shape[1]

    def unknown(self) -> Tensor:
        """How many ids of each row are unknown (N,) int64."""
        return (self.ids == UNKNOWN).sum(dim=1)

    def notes(self, split: Split) -> list[str]:
        """What a person should know, by part: texts without a token, cut texts, and the rate of unknown tokens.

        The rate is that of the tokens which are left of texts that have any.
        """
        empty, cut = self.whole == 0, self.whole > self.steps
        unknown, there = self.unknown(), ~empty
        cuts, rates = [], []
        for name, rows in zip(PARTS, split, strict=True):
            if not len(rows):
                continue
            cuts.append(f"{int(cut[rows].sum()):,} of {len(rows):,} {name}")
            some = rows[there[rows]]
            rate = unknown[some].sum() / self.lengths[some].sum().clamp(min=1)
            rates.append(f"{float(rate):.2%} of {name}")
        notes = [
            f"texts cut behind {self.steps:,} tokens: {', '.join(cuts)} rows",
            f"tokens that are unknown: {', '.join(rates)} tokens",
        ]
        if empty.any():
            notes.append(f"missing or empty texts: {int(empty.sum()):,} of {len(empty):,} rows, one unknown token each")
        return notes


def encode(texts: Sequence[str], vocabulary: Vocabulary, max_length: int, train: Tensor | None = None) -> TokenIds:
    """Encode texts.

    Args:
        texts: All of them.
        vocabulary: Of the train rows.
        max_length: T.
        train: Numbers of the train rows: T is that of the longest of them, if less.
    """
    encoded = vocabulary.encode(texts, max_length)
    steps = max_length if train is None else min(max_length, max(1, int(encoded.tokens[train].max())))
    ids = torch.zeros(len(texts), steps, dtype=torch.int32)
    ids[:, : encoded.ids.shape[1]] = encoded.ids[:, :steps]
    ids[encoded.tokens == 0, 0] = UNKNOWN
    return TokenIds(ids, encoded.tokens.clamp(1, steps), encoded.tokens)
