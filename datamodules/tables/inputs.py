"""Inputs of tables: from rows to numbers and category indices, with statistics of the train rows."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.preprocessing.inputs import Chunk, Inputs, Reasons, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, frame_source, read_objects
from datamodules.preprocessing.modules import FillMissing, Preprocessor
from datamodules.preprocessing.normalization import Normalizer, Unchanged, restore
from datamodules.tables.casting import as_days, as_tensor, check_cells, encode
from datamodules.tables.cell_types import as_text, parsed
from datamodules.tables.columns import Columns, ColumnType, arrange
from datamodules.tables.encoding import Encoding
from datamodules.tables.lazy_numbers import in_pieces
from datamodules.tables.read_table import MISSING, parse
from datamodules.tables.table_source import Table

CSV = "text/csv"


@dataclass
class TableInputs(Inputs):
    """Inputs of a model of tables.

    Args:
        normalizer: Statistics of the numbers.
        encoding: Medians of the numbers, and the categories.
        kinds: Type of each column, and its type in the train rows' file, in the file's order.
        missing: Texts that stand for a missing value.
    """

    normalizer: Normalizer
    encoding: Encoding
    kinds: dict[str, tuple[ColumnType, str]]
    missing: Sequence[str]

    def tensors(self, columns: Columns, rows: Tensor) -> dict[str, Tensor]:
        """Returns ``x`` (N, F) float32 of some rows, and where there are any ``categories`` (N, C) int64."""
        prepare = self.preprocessor()
        tensors = {"x": in_pieces(lambda piece: prepare(columns.numbers[piece]), rows, columns.numbers.shape[1])}
        if self.encoding.cardinalities:
            tensors["categories"] = self.encoding.indices(columns, rows)
        return tensors

    @override
    def state_dict(self) -> dict[str, Any]:
        kinds = {name: list(kind) for name, kind in self.kinds.items()}
        return {"kind": "table", "columns": kinds, "missing": list(self.missing)}

    @override
    def preprocessor(self) -> Preprocessor:
        medians = torch.tensor(list(self.encoding.medians.values()), dtype=torch.float64)
        return Preprocessor(self.normalizer, FillMissing(medians))

    @override
    def unprepared(self) -> "TableInputs":
        unfilled = replace(self.encoding, medians=dict.fromkeys(self.encoding.medians, math.nan))
        return replace(self, normalizer=Unchanged(), encoding=unfilled)

    @classmethod
    @override
    def restored(cls, state: Mapping[str, Any]) -> "TableInputs":
        kinds = {name: tuple(kind) for name, kind in state["inputs"]["columns"].items()}
        encoding = Encoding(**state["encoding"])
        if isinstance(encoding.medians, list):  # of an artefact, whose medians are beside it or in its graph
            names = encoding.medians
            medians = state.get("medians", torch.full((len(names),), torch.nan)).tolist()
            encoding.medians = dict(zip(names, medians, strict=True))
        return cls(restore(state["statistics"]), encoding, kinds, state["inputs"]["missing"])

    @override
    def statistics(self) -> dict[str, Tensor]:
        medians = torch.tensor(list(self.encoding.medians.values()), dtype=torch.float64)
        return {**super().statistics(), "medians": medians}

    @override
    def exported_state(self) -> dict[str, Any]:
        encoding = {"medians": list(self.encoding.medians), "categories": self.encoding.categories}
        return {**super().exported_state(), "encoding": encoding}

    @override
    def signature(self) -> list[dict[str, Any]]:
        names, categories = list(self.encoding.medians), self.encoding.categories
        numbers = tensor_spec("x", "float64", len(names), features=names, missing="NaN")
        dates = [name for name in names if self.kinds[name][0] == "date"]
        if dates:
            numbers["units"] = dict.fromkeys(dates, "days since 1970-01-01")
        meaning = "0 a category that no train row has, 1 missing, from 2 on the categories in their order"
        indices = tensor_spec(
            "categories", "int64", len(categories), features=list(categories), meaning=meaning, categories=categories
        )
        return [numbers, indices] if categories else [numbers]

    @override
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        numbers = torch.randn(count, len(self.encoding.medians), generator=draw, dtype=torch.float64)
        sizes = self.encoding.cardinalities
        indices = [torch.randint(0, size, (count,), generator=draw) for size in sizes]
        categories = {"categories": torch.stack(indices, dim=1)} if sizes else {}
        return {"x": self.normalizer.inverse(numbers), **categories}

    @override
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        return {"objects": lambda rows: read_objects(rows, self.kinds)}

    @override
    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        return {CSV: self._read_csv}

    @override
    def request_schema(self) -> dict[str, Any]:
        categories = self.encoding.categories
        columns = [
            {"name": name, "type": kind, "stored": stored, "categories": categories.get(name)}
            for name, (kind, stored) in self.kinds.items()
        ]
        return {**super().request_schema(), "columns": columns}

    @override
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields the rows of a CSV or Parquet file, or of a frame, columns found by their names.

        A row is bad if a number or a date is none, or is infinite. Categories that no train row has are counted.
        """
        table = Table(as_frame(source), self.missing)
        notes = table.check(list(self.kinds))
        numbers = [name for name, (kind, stored) in self.kinds.items() if kind == "numeric" and stored != "Boolean"]
        for piece in table.pieces(list(self.kinds), numbers):
            columns, reasons = self._read(piece.frame)
            index, ids, bad = partition(numbered(len(piece.frame), piece.first), reasons | piece.reasons)
            counts = Counter({
                f"categories of {name} that no train row has": count
                for name, count in self.encoding.unknown(columns, index).items()
            })  # fmt: skip
            yield Chunk(ids, self.tensors(columns, index), bad, counts, notes, piece.done)

    def _read(self, frame: polars.DataFrame) -> tuple[Columns, Reasons]:
        """Reads the columns as ``read_columns`` read those of the train rows, and why rows are bad."""
        numbers: dict[str, Tensor] = {}
        codes: dict[str, Tensor] = {}
        levels, reasons = [], Reasons()
        for name, (kind, stored) in self.kinds.items():
            column = frame[name]
            check_cells(column)
            if kind == "categorical":
                codes[name], different = encode(as_text(column, stored))
                levels.append(different)
                continue
            values = self._numbers(column, kind, stored)
            bad = (values.is_null() & column.is_not_null()) | values.is_infinite().fill_null(False)
            for row in bad.arg_true().to_list():
                wanted = "finite" if values[row] is not None else "a date" if kind == "date" else "a number"
                reasons.setdefault(row, f"column {name} is {str(column[row])[:40]!r}, which is not {wanted}")
            numbers[name] = as_tensor(values)
        return arrange(numbers, codes, levels, self.kinds, len(frame)), reasons

    def _read_csv(self, content: bytes) -> Source:
        frame = parse_csv(content, self.missing)
        dates = [name for name, (kind, _) in self.kinds.items() if kind == "date" and name in frame.columns]
        # Dates of another request may be in another format.
        return frame_source(frame, alone=any(frame[name].dtype == polars.String for name in dates))

    @staticmethod
    def _numbers(column: polars.Series, kind: ColumnType, stored: str) -> polars.Series:
        if column.dtype == polars.String and stored in ("Boolean", "Time"):
            column = parsed(column, stored)
        return as_days(column) if kind == "date" else column.cast(polars.Float64, strict=False)


def parse_csv(content: bytes, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Reads the table in a request's body.

    Raises:
        DataError: For a body that is no CSV.
    """
    return parse(content, "the body", missing)


def as_frame(source: Any) -> Any:
    """Converts columns and frames of other libraries to a polars frame, and returns other sources unchanged."""
    if hasattr(source, "columns") or isinstance(source, dict):
        return source if isinstance(source, polars.DataFrame) else polars.DataFrame(source)
    return source
