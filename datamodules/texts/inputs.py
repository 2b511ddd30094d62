"""From texts to the ids of their tokens, with the vocabulary of the train rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Chunk, Reasons, numbered, sort_out
from datamodules.tables.inputs import as_frame
from datamodules.tables.table_source import Table
from datamodules.texts.read_texts import joined, read_text
from datamodules.texts.token_ids import TokenIds, encode
from datamodules.texts.vocabulary import Vocabulary

PIECE = 4096
"""Texts that are encoded at a time."""


@dataclass
class TextInputs:
    """What a model of texts is given.

    Args:
        vocabulary: Of the train rows.
        steps: Tokens of a row.
        columns: Names of the columns of texts.
        missing: Texts in a file that stand for a missing value.
    """

    vocabulary: Vocabulary
    steps: int
    columns: Sequence[str]
    missing: Sequence[str]

    @staticmethod
    def tensors(encoded: TokenIds, rows: Tensor) -> dict[str, Tensor]:
        """Of some rows the ids ``x`` (N, T) int64 and their ``lengths`` (N,)."""
        return {"x": encoded.ids.index_select(0, rows).long(), "lengths": encoded.lengths[rows]}

    def state_dict(self) -> dict[str, Any]:
        """The columns and the missing texts."""
        return {"kind": "text", "columns": list(self.columns), "missing": list(self.missing)}

    def unprepared(self) -> "TextInputs":
        """Itself: nothing is done to ids."""
        return self

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "TextInputs":
        """From the state of a data module."""
        inputs = state["inputs"]
        return cls(Vocabulary(state["vocabulary"]), state["input_shape"][0], inputs["columns"], inputs["missing"])

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The rows of a CSV or Parquet file, a .txt file, a folder of .txt files, a frame, or texts in a sequence.

        A file that is not UTF-8 is bad. Texts without a token, and cut ones, are counted.
        """
        if isinstance(source, str | Path) and (Path(source).is_dir() or str(source).lower().endswith(".txt")):
            yield from self._files(Path(source))
        elif isinstance(source, list | tuple):
            for first in range(0, len(source), PIECE):
                texts = list(source[first : first + PIECE])
                reasons = {place: "not a text" for place, one in enumerate(texts) if not isinstance(one, str)}
                column = polars.Series([one if isinstance(one, str) else "" for one in texts]).str.strip_chars()
                done = (first + len(texts)) / len(source)
                yield self._chunk(numbered(len(texts), first), column, reasons, done)
        else:
            yield from self._table(Table(as_frame(source), self.missing))

    def _table(self, table: Table) -> Iterator[Chunk]:
        notes = table.check(self.columns)
        for piece in table.pieces(self.columns):
            for start in range(0, len(piece.frame), PIECE):
                frame = piece.frame[start : start + PIECE]
                here = range(start, start + len(frame))
                reasons = {place - start: why for place, why in piece.reasons.items() if place in here}
                ids = numbered(len(frame), piece.first + start)
                yield self._chunk(ids, joined(frame, self.columns), reasons, piece.done, notes)

    def _files(self, root: Path) -> Iterator[Chunk]:
        files = [root]
        if root.is_dir():
            files = sorted(one for one in root.rglob("*.txt") if not one.is_dir() and not one.name.startswith("."))
        if not files:
            raise DataError(f"the folder {root} has no .txt file; add some")
        for first in range(0, len(files), PIECE):
            some = files[first : first + PIECE]
            texts, reasons = [], Reasons()
            for place, file in enumerate(some):
                try:
                    texts.append(read_text(file))
                except (DataError, OSError) as error:
                    texts.append("")
                    reasons[place] = str(getattr(error, "strerror", None) or error)
            names = (str(one.relative_to(root)) if one != root else one.name for one in some)
            ids = numbered(len(some), first, file=(name.encode(errors="replace").decode() for name in names))
            column = polars.Series(texts, dtype=polars.String).str.strip_chars()
            yield self._chunk(ids, column, reasons, (first + len(some)) / len(files))

    def _chunk(
        self, ids: polars.DataFrame, texts: polars.Series, reasons: Reasons, done: float, notes: tuple[str, ...] = ()
    ) -> Chunk:
        places, good, bad = sort_out(ids, reasons)
        encoded = encode(texts.gather(places.numpy()).to_list(), self.vocabulary, self.steps)
        counts = Counter({
            f"texts cut behind {self.steps:,} tokens": int((encoded.whole > self.steps).sum()),
            "missing or empty texts, taken for one unknown token": int((encoded.whole == 0).sum()),
        })  # fmt: skip
        return Chunk(good, self.tensors(encoded, torch.arange(len(good))), bad, +counts, notes, done)
