"""Texts as token ids, padded to one length, and notes on cut and unknown tokens."""

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
        lengths: Ids of each row without padding (N,) int64, at least 1.
        whole: Tokens of each text before it is cut (N,) int64; 0 for a text without a token.
    """

    ids: Tensor
    lengths: Tensor
    whole: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return self.ids.shape[1]

    def unknown(self) -> Tensor:
        """Counts the unknown ids of each row (N,) int64."""
        return (self.ids == UNKNOWN).sum(dim=1)

    def notes(self, split: Split) -> list[str]:
        """Returns notes for each split: texts without a token, cut texts, and the rate of unknown tokens.

        The rate is over the remaining tokens of texts with a token.
        """
        empty, cut = self.whole == 0, self.whole > self.steps
        unknown, written = self.unknown(), ~empty
        cuts, rates = [], []
        for name, rows in zip(PARTS, split, strict=True):
            if not len(rows):
                continue
            cuts.append(f"{int(cut[rows].sum()):,} of {len(rows):,} {name}")
            some = rows[written[rows]]
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
    """Encodes texts.

    Args:
        texts: All texts.
        vocabulary: Vocabulary of the train rows.
        max_length: T.
        train: Ids of the train rows: T is the length of the longest of them, if less.
    """
    encoded = vocabulary.encode(texts, max_length)
    steps = max_length if train is None else min(max_length, max(1, int(encoded.tokens[train].max())))
    ids = torch.zeros(len(texts), steps, dtype=torch.int32)
    ids[:, : encoded.ids.shape[1]] = encoded.ids[:, :steps]
    ids[encoded.tokens == 0, 0] = UNKNOWN
    return TokenIds(ids, encoded.tokens.clamp(1, steps), encoded.tokens)
