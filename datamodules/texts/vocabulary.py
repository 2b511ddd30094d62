"""Vocabulary, learned from the train rows or of a pretrained network, that encodes texts as the ids of their tokens."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.splitting.splits import PARTS, Split

# A process that forks after tokenizers used threads gets a warning, and the child may hang. Without forks, true is
# faster on many cores; the vocabulary is the same.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

TokenizerName = Literal["bpe", "word"]
"""bpe: pieces of words, after byte-pair encoding of characters (Sennrich et al. 2016); word: words and punctuation."""

PADDING, UNKNOWN = 0, 1
"""Ids of padding behind a row's end, and of tokens that do not occur twice in the train rows."""

SPECIAL = ["[PAD]", "[UNK]"]
SPACE = "▁"
"""Prefix of a word's first piece."""

AT_LEAST = 2
"""Least count of a token in the train rows: rarer ones are unknown, so that the unknown token is trained too."""

LONGEST = 100
"""Largest number of characters of a word; the rest is another word, since learning is quadratic in the length."""

CHUNK = 1000
"""Texts that are encoded at a time."""


@dataclass
class TokenIds:
    """N texts, each cut to T tokens or padded.

    A text without a token is one unknown token, or the tokens that a pretrained tokenizer puts around each text.
    """

    ids: Tensor  # (N, T) int32, 0 behind a text's end
    lengths: Tensor  # ids of each row without padding (N,) int64, at least 1
    whole: Tensor  # tokens of each text before it is cut (N,) int64; 0 for a text without a token
    unknown_id: int | None = UNKNOWN  # None: the vocabulary has a token for everything
    empty_text: str = "one unknown token"  # what a text without a token is

    def unknown(self) -> Tensor:
        """Counts the unknown ids of each row (N,) int64."""
        return (self.ids == (-1 if self.unknown_id is None else self.unknown_id)).sum(dim=1)

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
            notes.append(f"missing or empty texts: {int(empty.sum()):,} of {len(empty):,} rows, {self.empty_text} each")
        return notes


class Vocabulary:
    """Tokenizer from JSON in the format of Hugging Face's ``tokenizers``; two are equal if they encode texts alike.

    Rows are cut and padded here, whatever the JSON says of it. ``[SEP]`` and the like in a text are text.
    """

    def __init__(self, text: str) -> None:
        """Reads the JSON; raises ``DataError`` for another text."""
        try:
            self._tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise DataError(f"the vocabulary cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        self.special: int = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        """Number of tokens that are put around each text, such as ``[CLS]`` and ``[SEP]``."""
        self._size: int = max(self._tokenizer.get_vocab().values(), default=-1) + 1
        self._cutting: dict[int, Tokenizer] = {}  # by their number of tokens

    def __len__(self) -> int:
        """Returns the number of ids, 0 to the highest one, so that a table of embeddings holds all of them."""
        return self._size

    @property
    def unknown_id(self) -> int | None:
        """Id of the token of what is not in the vocabulary; None if there is none."""
        token = getattr(self._tokenizer.model, "unk_token", None)
        return None if token is None else self._tokenizer.token_to_id(token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def empty_text(self) -> str:
        """Words for a text without a token of its own, in notes."""
        if self.special:
            return f"the {self.special} tokens around a text"
        return "one unknown token" if self.unknown_id is not None else "one token of padding"

    def to_json(self) -> str:
        """Returns the JSON of the tokenizer."""
        return self._tokenizer.to_str()

    def tokens(self, text: str) -> list[str]:
        """Returns the tokens of a text, as they are written in the vocabulary."""
        return self._tokenizer.encode(text).tokens

    def token(self, token_id: int) -> str:
        """Returns a token by its id."""
        return str(self._tokenizer.id_to_token(token_id))

    def special_ids(self) -> list[int]:
        """Returns the ids of the tokens that are put around each text."""
        return [*self._tokenizer.encode("").ids]

    def encode(self, texts: Sequence[str], max_length: int, train: Tensor | None = None) -> TokenIds:
        """Encodes texts.

        Args:
            texts: All texts.
            max_length: T.
            train: Ids of the train rows: T is the length of the longest of them, if less.
        """
        rows: list[list[int]] = []
        counts: list[int] = []
        for start in range(0, len(texts), CHUNK):
            for encoding in self._tokenizer.encode_batch_fast(list(texts[start : start + CHUNK])):
                counts.append(len(encoding.ids))
                rows.append(encoding.ids[:max_length])
        written = torch.tensor(counts, dtype=torch.int64)
        steps = max_length if train is None else min(max_length, max(1, int(written[train].max())))
        ids = numpy.full((len(rows), steps), PADDING, dtype=numpy.int32)
        for index, (row, tokens) in enumerate(zip(ids, rows, strict=True)):
            if counts[index] > steps and self.special:
                tokens = self._cut(texts[index], steps)
            row[: len(tokens)] = tokens[:steps]
        unknown = self.unknown_id
        ids[written.numpy() == 0, 0] = PADDING if unknown is None else unknown
        whole = written.where(written > self.special, 0)
        return TokenIds(torch.from_numpy(ids), written.clamp(1, steps), whole, unknown, self.empty_text)

    def _cut(self, text: str, steps: int) -> list[int]:
        """Returns the ids of the beginning of a text, with the tokens around it."""
        if steps not in self._cutting:
            tokenizer = Tokenizer.from_str(self.to_json())
            tokenizer.encode_special_tokens = True
            tokenizer.enable_truncation(steps)
            self._cutting[steps] = tokenizer
        ids: list[int] = self._cutting[steps].encode(text).ids
        return ids


def learn(texts: Sequence[str], kind: TokenizerName, max_size: int) -> Vocabulary:
    """Learns the vocabulary of the train rows' texts, bit-identical on every machine.

    Texts are normalized to Unicode NFKC and lower case, and white space to single spaces. The most frequent tokens are
    kept, so that there are at most ``max_size`` ids with padding and unknown.
    """
    options: dict[str, Any] = {"vocab_size": max_size, "min_frequency": AT_LEAST, "special_tokens": SPECIAL}
    normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    trainer: trainers.Trainer
    if kind == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(show_progress=False, **options)
    else:
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(SPACE), pre_tokenizers.Punctuation(), pre_tokenizers.FixedLength(LONGEST)]
        )
        characters = _characters(texts, normalizer, max_size - len(SPECIAL))
        # Without its limit the library breaks ties between characters at random.
        options |= {"initial_alphabet": characters, "limit_alphabet": len(characters)}
        trainer = trainers.BpeTrainer(show_progress=False, **options)
    tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    made = json.loads(tokenizer.to_str())
    made["added_tokens"] = []  # else "[PAD]" in a text would be padding
    return Vocabulary(json.dumps(made, ensure_ascii=False))


def _characters(texts: Sequence[str], normalizer: normalizers.Normalizer, at_most: int) -> list[str]:
    counts = Counter(chain.from_iterable(map(normalizer.normalize_str, texts)))
    rest = [character for character, count in counts.items() if count >= AT_LEAST and character not in (" ", SPACE)]
    return [SPACE, *sorted(rest, key=lambda character: (-counts[character], character))][:at_most]
