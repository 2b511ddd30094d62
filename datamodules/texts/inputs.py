"""Inputs of texts: from texts to the ids of their tokens, with the vocabulary of the train rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars
import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules.class_folders import files_below, names_below
from datamodules.errors import DataError
from datamodules.preprocessing.id_column import and_id, id_state, with_id
from datamodules.preprocessing.inputs import LENGTHS, TIME, Chunk, Inputs, Reasons, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, frame_source, read_objects, read_texts
from datamodules.preprocessing.normalization import Unchanged
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.preprocessing.permuted_features import Feature, Tensors
from datamodules.tables.frame_conversion import as_frame, check_table
from datamodules.tables.inputs import CSV, parse_csv
from datamodules.tables.table_source import Table
from datamodules.texts.read_texts import ENDING, as_written, joined, read_text
from datamodules.texts.token_features import token_features
from datamodules.texts.vocabulary import TokenIds, Vocabulary

PIECE = 4096
"""Texts that are encoded at a time."""

VOCABULARY = "tokenizer.json"
"""File of the vocabulary in an artefact."""


class Tokens(nn.Module):
    """Identity of token ids (N, T) int64, which need no preprocessing."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the ids unchanged."""
        return x


@dataclass
class TextInputs(Inputs):
    """Inputs of a model of texts."""

    vocabulary: Vocabulary
    steps: int  # most tokens of a row
    columns: Sequence[str]  # of the texts
    missing: Sequence[str]  # texts in a file that stand for a missing value
    folders: Sequence[str] = ()  # names of the classes' folders in training
    txt_table: bool = False  # True if the train rows' file was a table called .txt
    id_column: str | None = None  # column that names rows
    normalizer: Normalizer = field(default_factory=Unchanged, init=False)

    @staticmethod
    def tensors(encoded: TokenIds, rows: Tensor) -> dict[str, Tensor]:
        """Returns the ids ``x`` (N, T) int64 of some rows, and their ``lengths`` (N,)."""
        return {"x": encoded.ids.index_select(0, rows).long(), "lengths": encoded.lengths[rows]}

    @override
    def state_dict(self) -> dict[str, Any]:
        own = {name: list(getattr(self, name)) for name in ("columns", "missing", "folders")}
        return {"kind": "text", **own, "txt_table": self.txt_table, **id_state(self.id_column)}

    @override
    def unprepared(self) -> "TextInputs":
        return self

    @override
    def preprocessor(self) -> nn.Module:
        return Tokens()

    @classmethod
    @override
    def restored(cls, state: Mapping[str, Any]) -> "TextInputs":
        inputs = {name: value for name, value in state["inputs"].items() if name != "kind"}
        vocabulary = state[VOCABULARY] if VOCABULARY in state else state["vocabulary"]
        (steps,) = state["input_shape"]
        return cls(Vocabulary(vocabulary), steps, **inputs)

    @override
    def exported_state(self) -> dict[str, Any]:
        return {**super().exported_state(), "input_shape": [self.steps]}

    @override
    def exported_files(self) -> dict[str, str]:
        return {VOCABULARY: self.vocabulary.to_json()}

    @override
    def signature(self) -> list[dict[str, Any]]:
        meaning = f"ids of {VOCABULARY}, 0 behind a text's end"
        return [tensor_spec("x", "int64", TIME, meaning=meaning, most_steps=self.steps), dict(LENGTHS)]

    @override
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        lengths = torch.randint(max(1, self.steps // 2), self.steps + 1, (count,), generator=draw)
        ids = torch.randint(2, max(3, len(self.vocabulary)), (count, self.steps), generator=draw)
        return {"x": ids, "lengths": lengths}

    @override
    def features(self, rows: Tensors) -> list[Feature]:
        """Returns the tokens that most texts have."""
        return token_features(rows, self.vocabulary)

    @override
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        return {"texts": read_texts, "objects": lambda rows: read_objects(rows, {})}

    @override
    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        def read(content: bytes) -> Source:
            frame = parse_csv(content, self.missing)
            return frame_source(as_written(frame, content, self.columns, self.missing), alone=False)

        return {CSV: read}

    @override
    def request_schema(self) -> dict[str, Any]:
        columns = [{"name": name, "type": "text"} for name in self.columns]
        return {**super().request_schema(), "columns": columns, "tokens": self.steps}

    @override
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields the rows of a CSV or Parquet file, a .txt file, a folder of them, a frame, or texts in a sequence.

        A file is bad if it is not UTF-8. Texts without a token, and texts that are cut, are counted.
        """
        if isinstance(source, str | Path) and (Path(source).is_dir() or self._is_text(Path(source))):
            yield from self._files(Path(source))
        elif isinstance(rows := as_frame(source, self.columns), list | tuple):
            yield from self._each(rows, _as_text)
        else:
            yield from self._table(Table(check_table(rows), self.missing))

    def _is_text(self, path: Path) -> bool:
        """Returns True for a .txt file, unless it is a table as the train rows' file was."""
        if not path.name.lower().endswith(ENDING):
            return False
        try:
            return not self.txt_table or not {*self.columns} <= {*Table(path, self.missing).columns}
        except DataError:
            return True

    def _table(self, table: Table) -> Iterator[Chunk]:
        notes = table.check(self.columns, self.id_column)
        for piece in table.pieces(and_id(self.columns, self.id_column, table.columns)):
            for start in range(0, len(piece.frame), PIECE):
                frame = piece.frame[start : start + PIECE]
                here = range(start, start + len(frame))
                reasons = {index - start: reason for index, reason in piece.reasons.items() if index in here}
                ids = with_id(numbered(len(frame), piece.first + start), frame, self.id_column)
                yield self._chunk(ids, joined(frame, self.columns), reasons, piece.done, notes)

    def _files(self, root: Path) -> Iterator[Chunk]:
        files, note = files_below(root, ENDING, self.folders) if root.is_dir() else ([root], "")
        if not files:
            raise DataError(f"the folder {root} has no .txt file; add some")
        names = names_below(files, root if root.is_dir() else root.parent)
        yield from self._each(files, read_text, (note,) * bool(note), file=names)

    def _each(
        self, items: Sequence[Any], read: Callable[[Any], str], notes: tuple[str, ...] = (), **names: list[str]
    ) -> Iterator[Chunk]:
        for first in range(0, len(items), PIECE):
            piece = slice(first, first + PIECE)
            texts, reasons = [], Reasons()
            for index, item in enumerate(items[piece]):
                try:
                    texts.append(read(item))
                except DataError as error:
                    texts.append("")
                    reasons[index] = str(error)
            ids = numbered(len(texts), first, **{name: values[piece] for name, values in names.items()})
            column = polars.Series(texts, dtype=polars.String).str.strip_chars()
            yield self._chunk(ids, column, reasons, (first + len(texts)) / len(items), notes)

    def _chunk(
        self, ids: polars.DataFrame, texts: polars.Series, reasons: Reasons, done: float, notes: tuple[str, ...] = ()
    ) -> Chunk:
        index, good, bad = partition(ids, reasons)
        encoded = self.vocabulary.encode(texts.gather(index.numpy()).to_list(), self.steps)
        counts = Counter({
            f"texts cut behind {self.steps:,} tokens": int((encoded.whole > self.steps).sum()),
            f"missing or empty texts, taken for {self.vocabulary.empty_text}": int((encoded.whole == 0).sum()),
        })  # fmt: skip
        return Chunk(good, self.tensors(encoded, torch.arange(len(good))), bad, +counts, notes, done)


def _as_text(item: Any) -> str:
    if not isinstance(item, str):
        raise DataError("not a text")
    return item
