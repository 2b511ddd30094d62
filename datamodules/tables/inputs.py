"""From a table's rows to numbers and category indices, with what was learned of the train rows."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars
from torch import Tensor

from datamodules.preprocessing.inputs import Chunk, Reasons, numbered, sort_out
from datamodules.preprocessing.normalization import Normalizer, Unchanged, restore
from datamodules.tables.casting import as_days, as_tensor, check_cells, encode
from datamodules.tables.cell_types import as_text, parsed
from datamodules.tables.columns import Columns, ColumnType, arrange
from datamodules.tables.encoding import Encoding
from datamodules.tables.lazy_numbers import in_pieces
from datamodules.tables.table_source import Table


@dataclass
class TableInputs:
    """What a model of tables is given.

    Args:
        normalizer: Of the numbers.
        encoding: What stands for missing numbers, and the categories.
        kinds: What each column is, and as what it came, in the order of the train rows' file.
        missing: Texts that stand for a missing value.
    """

    normalizer: Normalizer
    encoding: Encoding
    kinds: dict[str, tuple[ColumnType, str]]
    missing: Sequence[str]

    def tensors(self, columns: Columns, rows: Tensor) -> dict[str, Tensor]:
        """Of some rows ``x`` (N, F) float32, and where there are any ``categories`` (N, C) int64."""

        def normalized(piece: Tensor) -> Tensor:
            return self.normalizer.apply(self.encoding.numbers(columns, piece))

        tensors = {"x": in_pieces(normalized, rows, columns.numbers.shape[1])}
        if self.encoding.cardinalities:
            tensors["categories"] = self.encoding.indices(columns, rows)
        return tensors

    def state_dict(self) -> dict[str, Any]:
        """The columns."""
        kinds = {name: list(kind) for name, kind in self.kinds.items()}
        return {"kind": "table", "columns": kinds, "missing": list(self.missing)}

    def unprepared(self) -> "TableInputs":
        """Numbers as they come, NaN where missing; categories as indices."""
        unfilled = replace(self.encoding, medians=dict.fromkeys(self.encoding.medians, math.nan))
        return replace(self, normalizer=Unchanged(), encoding=unfilled)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "TableInputs":
        """From the state of a data module."""
        kinds = {name: tuple(kind) for name, kind in state["inputs"]["columns"].items()}
        encoding = Encoding(**state["encoding"])
        return cls(restore(state["statistics"]), encoding, kinds, state["inputs"]["missing"])

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The rows of a CSV or Parquet file, or of a frame, columns found by their names.

        A row is bad where a number or a date is none, or is infinite. A category that no train row has is counted.
        """
        table = Table(as_frame(source), self.missing)
        notes = table.check(list(self.kinds))
        numbers = [name for name, (kind, came) in self.kinds.items() if kind == "numeric" and came != "Boolean"]
        for piece in table.pieces(list(self.kinds), numbers):
            columns, reasons = self._read(piece.frame)
            places, ids, bad = sort_out(numbered(len(piece.frame), piece.first), reasons | piece.reasons)
            counts = Counter({
                f"categories of {name} that no train row has": count
                for name, count in self.encoding.unknown(columns, places).items()
            })  # fmt: skip
            yield Chunk(ids, self.tensors(columns, places), bad, counts, notes, piece.done)

    def _read(self, frame: polars.DataFrame) -> tuple[Columns, Reasons]:
        """The columns as ``read_columns`` read those of the train rows, and what is wrong with which rows."""
        numbers: dict[str, Tensor] = {}
        codes: dict[str, Tensor] = {}
        levels, reasons = [], Reasons()
        for name, (kind, came) in self.kinds.items():
            column = frame[name]
            check_cells(column)
            if kind == "categorical":
                codes[name], different = encode(as_text(column, came))
                levels.append(different)
                continue
            values = self._numbers(column, kind, came)
            bad = (values.is_null() & column.is_not_null()) | values.is_infinite().fill_null(False)
            for place in bad.arg_true().to_list():
                what = "finite" if values[place] is not None else "a date" if kind == "date" else "a number"
                reasons.setdefault(place, f"column {name} is {str(column[place])[:40]!r}, which is not {what}")
            numbers[name] = as_tensor(values)
        return arrange(numbers, codes, levels, self.kinds, len(frame)), reasons

    @staticmethod
    def _numbers(column: polars.Series, kind: ColumnType, came: str) -> polars.Series:
        if column.dtype == polars.String and came in ("Boolean", "Time"):
            column = parsed(column, came)
        return as_days(column) if kind == "date" else column.cast(polars.Float64, strict=False)


def as_frame(source: Any) -> Any:
    """What Python holds as a polars frame, if it is one of another library or columns; a path as it is."""
    if hasattr(source, "columns") or isinstance(source, dict):
        return source if isinstance(source, polars.DataFrame) else polars.DataFrame(source)
    return source
