"""Texts as token ids, padded to one length, and notes on cut and unknown tokens."""

from dataclasses import dataclass

from torch import Tensor

from datamodules.splitting.splits import PARTS, Split

PADDING, UNKNOWN = 0, 1
"""Ids of padding behind a row's end, and of tokens that do not occur twice in the train rows."""


@dataclass
class TokenIds:
    """N texts, each cut to T tokens or padded; a text without a token is one unknown token."""

    ids: Tensor  # (N, T) int32, 0 behind a text's end
    lengths: Tensor  # ids of each row without padding (N,) int64, at least 1
    whole: Tensor  # tokens of each text before it is cut (N,) int64; 0 for a text without a token

    def unknown(self) -> Tensor:
        """Counts the unknown ids of each row (N,) int64."""
        return (self.ids == UNKNOWN).sum(dim=1)

    def notes(self, split: Split) -> list[str]:
        """Returns notes: texts cut and texts without a token, and the rate of unknown tokens among the others'."""
        empty, cut, unknown = self.whole == 0, self.whole > self.ids.shape[1], self.unknown()
        cuts, rates = [], []
        for name, rows in zip(PARTS, split, strict=True):
            if not len(rows):
                continue
            cuts.append(f"{int(cut[rows].sum()):,} of {len(rows):,} {name}")
            written = rows[~empty[rows]]
            rate = unknown[written].sum() / self.lengths[written].sum().clamp(min=1)
            rates.append(f"{float(rate):.2%} of {name}")
        notes = [
            f"texts cut behind {self.ids.shape[1]:,} tokens: {', '.join(cuts)} rows",
            f"tokens that are unknown: {', '.join(rates)} tokens",
        ]
        if empty.any():
            notes.append(f"missing or empty texts: {int(empty.sum()):,} of {len(empty):,} rows, one unknown token each")
        return notes
