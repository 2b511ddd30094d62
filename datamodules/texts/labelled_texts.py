"""Base class of texts in memory."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError, check_names
from datamodules.in_memory import InMemoryData
from datamodules.preprocessing.normalization import Statistics
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.raw_data import Rows
from datamodules.tables.read_table import MISSING
from datamodules.tables.targets import check_train_targets, read_target
from datamodules.texts.inputs import TextInputs
from datamodules.texts.pretrained_tokenizer import read_tokenizer
from datamodules.texts.read_texts import joined
from datamodules.texts.vocabulary import SPECIAL, TokenIds, TokenizerName, Vocabulary, learn
from datamodules.types import TaskName


class LabelledTexts(InMemoryData):
    """Texts in a polars frame, which a subclass passes to ``take`` in its constructor.

    A text becomes the ids of its tokens (T,), lower-cased: 0 is padding behind its end, 1 a token that does not occur
    twice in the train rows. A missing or empty text is one unknown token. The vocabulary is learned on the train rows,
    unless it is that of a pretrained network.

    Args:
        tokenizer: Pieces of words (bpe), or words.
        max_vocab_size: Largest number of different tokens, with padding and unknown; the most frequent are kept.
        max_length: Largest number of tokens of a row; longer texts are cut. T is the length of the longest train row,
            if less.
        pretrained_tokenizer: A ``tokenizer.json`` of Hugging Face, or its folder, whose tokens and ids are taken
            as they are; ``tokenizer`` and ``max_vocab_size`` are then not used.
        normalize: None: ids are not normalized.
        kwargs: Options of every data set in memory, see ``InMemoryData``.

    Raises:
        DataError: For options or data that cannot be used.
    """

    modality = "text"

    def __init__(
        self,
        tokenizer: TokenizerName = "bpe",
        max_vocab_size: int = 10_000,
        max_length: int = 256,
        pretrained_tokenizer: str | None = None,
        normalize: Literal["none"] = "none",
        **kwargs: Any,
    ) -> None:
        if normalize != "none":
            raise DataError(f"normalize {normalize!r} is for numbers, and texts are ids of tokens; leave it out")
        super().__init__(normalize=normalize, **kwargs)
        if tokenizer not in ("bpe", "word"):
            raise DataError(f"tokenizer {tokenizer!r} is unknown; it is bpe or word")
        for name, value, least in (("vocab_size", max_vocab_size, len(SPECIAL) + 1), ("length", max_length, 1)):
            if value < least:
                raise DataError(f"max_{name} must be at least {least}, and it is {value}")
        self.tokenizer, self.max_vocab_size, self.max_length = tokenizer, max_vocab_size, max_length
        self.pretrained_tokenizer = pretrained_tokenizer
        self.missing: Sequence[str] = MISSING
        self.folders: tuple[str, ...] = ()
        self.txt_table = False
        self.vocabulary: Vocabulary
        self._text: list[str]
        self._encoded: TokenIds
        self._taken: Rows

    def take(
        self,
        frame: polars.DataFrame,
        text: Sequence[str],
        target: Sequence[str],
        task: TaskName | None,
        val: Tensor | None = None,
        test: Tensor | None = None,
    ) -> None:
        """Splits the rows of a frame, learns the vocabulary and sets all attributes.

        Args:
            frame: Missing values are null.
            text: Columns of the texts, joined by `` | `` if there are several; a missing text is left out.
            target: Columns to predict.
            task: Task; inferred from the target by default.
            val: Row ids of a validation split that the data come with.
            test: Row ids of a test split that they come with.
        """
        check_names("text", text, frame.columns)
        check_names("target", target, frame.columns)
        if not text or len({*text}) < len(text) or self.id_column in text:
            raise DataError("--data.text names one or more different columns, and not that of --data.id")
        if not target or len({*target}) < len(target) or {*target} & {*text, *self.split_settings.columns}:
            raise DataError("--data.target names one or more different columns that serve nothing else")
        self._text, self.target_names = list(text), tuple(target)
        self.texts = joined(frame, text)
        read = read_target(frame.select(target), task)
        y, self.task, self.num_outputs, self.class_names = read
        digests = b"".join(blake2b(text.encode(), digest_size=16).digest() for text in self.texts)
        x = torch.frombuffer(bytearray(digests), dtype=torch.uint8).view(-1, 16)
        self._taken = Rows(x, y, test, val, about=frame.drop(target))
        split = self.split_now()
        check_train_targets(read, split.train)
        if self.pretrained_tokenizer is None:
            texts = self.texts.gather(split.train.numpy()).to_list()
            vocabulary = learn(texts, self.tokenizer, self.max_vocab_size)
            kind, source = f"{self.tokenizer} tokens", "the train rows"
        else:
            vocabulary = read_tokenizer(self.pretrained_tokenizer, self.max_length)
            kind, source = "tokens", self.pretrained_tokenizer
        self._encode(vocabulary, self.max_length, split.train)
        note = f"vocabulary of {source}: {self.vocab_size:,} {kind}"
        self.notes = (*self.notes, note, *self._encoded.notes(split))

    def load(self) -> Rows:
        """Returns a digest of each text, which identifies rows before a vocabulary exists, and the targets."""
        return self._taken

    def features(self) -> polars.DataFrame:
        """Returns the number of tokens of each row, and how many are unknown."""
        tokens = {"tokens": self._encoded.lengths, "unknown tokens": self._encoded.unknown()}
        return polars.DataFrame({name: counts.numpy() for name, counts in tokens.items()})

    @property
    def inputs(self) -> TextInputs:
        """Preprocessing: vocabulary and columns."""
        steps, files = self.input_shape[0], (self.missing, self.folders, self.txt_table)
        return TextInputs(self.vocabulary, steps, self._text, *files, self.id_column)

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns ids of tokens, and their lengths."""
        return self._tensors(index)

    def raw(self, index: Tensor) -> polars.Series:
        """Returns texts as they are in the file."""
        return self.texts.gather(index.numpy())

    def state_dict(self) -> dict[str, Any]:
        """Returns split, and the vocabulary as JSON."""
        state = super().state_dict()
        own = {"vocabulary": self.vocabulary.to_json(), "input_shape": list(self.input_shape)}
        return {**state, **own} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces split and vocabulary by those of a checkpoint."""
        super().load_state_dict(state_dict)
        if state_dict:
            self._encode(Vocabulary(state_dict["vocabulary"]), *state_dict["input_shape"])

    def _encode(self, vocabulary: Vocabulary, max_length: int, train: Tensor | None = None) -> None:
        self.vocabulary, self._encoded = vocabulary, vocabulary.encode(self.texts.to_list(), max_length, train)
        self.vocab_size, self.input_shape = len(vocabulary), tuple(self._encoded.ids.shape[1:])

    def _learn(self, train: Tensor) -> Normalizer:
        """Returns empty statistics: ids are not normalized."""
        return Statistics(torch.zeros(0).double(), torch.ones(0).double())

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        return self.inputs.tensors(self._encoded, index)

    def _first_copies(self) -> Tensor:
        """Returns the first equal row of each; rows without a text are copies of no other."""
        first = super()._first_copies()
        empty = torch.tensor((self.texts == "").to_numpy())
        return torch.where(empty, torch.arange(len(first)), first)
