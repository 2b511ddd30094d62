"""Inputs of tables: from rows to numbers and category indices, with statistics of the train rows."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.preprocessing.id_column import and_id, id_state, with_id
from datamodules.preprocessing.inputs import Chunk, Inputs, Reasons, infinite_rows, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, frame_source, read_objects
from datamodules.preprocessing.modules import Preprocessor
from datamodules.preprocessing.normalization import Unchanged, restore
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.preprocessing.permuted_features import Feature, Tensors, column
from datamodules.tables.cell_types import inferred
from datamodules.tables.columns import Columns, Kinds, read_cells
from datamodules.tables.encoding import Encoding
from datamodules.tables.frame_conversion import as_frame, check_table, named_array
from datamodules.tables.lazy_numbers import in_pieces
from datamodules.tables.read_table import MISSING, parse
from datamodules.tables.table_source import Table

CSV = "text/csv"


@dataclass
class TableInputs(Inputs):
    """Inputs of a model of tables."""

    normalizer: Normalizer  # statistics of the numbers
    encoding: Encoding
    kinds: Kinds  # of the columns, in the order of the train rows' file
    missing: Sequence[str]  # texts that stand for a missing value
    id_column: str | None = None  # column that names rows

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
        return {"kind": "table", "columns": kinds, "missing": list(self.missing), **id_state(self.id_column)}

    @override
    def preprocessor(self) -> Preprocessor:
        is_in_graph = isinstance(self.normalizer, Unchanged)
        where_missing = None if is_in_graph else self.encoding.where_missing()
        return Preprocessor(self.normalizer, self.encoding.fill(), where_missing=where_missing)

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
        inputs = state["inputs"]
        return cls(restore(state["statistics"]), encoding, kinds, inputs["missing"], inputs.get("id_column"))

    @override
    def statistics(self) -> dict[str, Tensor]:
        return {**super().statistics(), "medians": self.encoding.fill().values}

    @override
    def exported_state(self) -> dict[str, Any]:
        state = {name: value for name, value in asdict(self.encoding).items() if value is not None}
        encoding = state | {"medians": list(self.encoding.medians)}
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
    def features(self, rows: Tensors) -> list[Feature]:
        """Returns the columns in the order of the train rows' file."""
        positions = {name: (index, "x") for index, name in enumerate(self.encoding.medians)}
        positions |= {name: (index, "categories") for index, name in enumerate(self.encoding.categories)}
        return [column(name, *positions[name]) for name in self.kinds]

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

        A row is bad if a number or a date is none, or is infinite. Values that no train row has taught are counted.
        """
        table = Table(check_table(as_frame(named_array(source, [*self.kinds]))), self.missing)
        notes = table.check(list(self.kinds), self.id_column)
        numbers = [name for name, (kind, dtype) in self.kinds.items() if kind == "numeric" and dtype != "Boolean"]
        for piece in table.pieces(and_id([*self.kinds], self.id_column, table.columns), numbers):
            reasons: Reasons = {}
            columns = read_cells(piece.frame, self.kinds, reasons)
            rows = with_id(numbered(len(piece.frame), piece.first), piece.frame, self.id_column)
            index, ids, bad = partition(rows, reasons | piece.reasons)
            tensors = self.tensors(columns, index)
            if len(index) and (infinite := infinite_rows(tensors["x"])):
                reasons |= {int(index[row]): "a value is infinite once it is normalized" for row in infinite}
                index, ids, bad = partition(rows, reasons | piece.reasons)
                tensors = self.tensors(columns, index)
            counts = Counter(self.encoding.unlearned(columns, index))
            yield Chunk(ids, tensors, bad, counts, notes, piece.done)

    def _read_csv(self, content: bytes) -> Source:
        frame = Table(content, self.missing, "the body").cells()
        dates = [name for name, (kind, _) in self.kinds.items() if kind == "date" and name in frame.columns]
        frame = frame.with_columns(inferred(frame[name]) for name in dates)
        # Dates of another request may be in another format.
        return frame_source(frame, alone=any(frame[name].dtype == polars.String for name in dates))


def parse_csv(content: bytes, missing: Sequence[str] = MISSING) -> polars.DataFrame:
    """Reads the table in a request's body; raises ``DataError`` for a body that is no CSV."""
    return parse(content, "the body", missing)
