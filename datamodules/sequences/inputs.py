"""Inputs of series: from series to normalized rows of one length, with statistics of the train rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from datamodules.preprocessing.inputs import LENGTHS, TIME, Chunk, Inputs, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, frame_source, read_objects
from datamodules.preprocessing.modules import FillMissing, Interpolate, Preprocessor
from datamodules.preprocessing.normalization import Unchanged, restore
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.preprocessing.permuted_features import Feature, Tensors, features_of
from datamodules.sequences.padded_series import fill_gaps, window_starts, windows
from datamodules.sequences.read_series import as_arrays, read_series
from datamodules.tables.inputs import CSV, parse_csv

PIECE = 4096
"""Rows that are made at a time, or the windows of one series where they are more."""


@dataclass
class SeriesInputs(Inputs):
    """Inputs of a model of series."""

    normalizer: Normalizer
    fill: Tensor  # value of each channel (C,) in series that have none of it, float64
    steps: int  # most steps of a row
    channels: Sequence[str]
    window: int | None  # steps of the windows that series are cut into; None for whole series
    stride: int  # steps from one window to the next
    id: str | None  # column of a table in long form with the series of a row; None for series in another form
    step: str | None  # column by which its steps are ordered

    def tensors(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Returns ``x`` (N, C, steps) float32, 0 where rows are padded, and ``lengths`` unless all have all steps."""
        lengths = lengths.clamp(max=self.steps)
        normal = self.preprocessor()(x[..., : self.steps], lengths)
        return {"x": normal} if (lengths == self.steps).all() else {"x": normal, "lengths": lengths}

    @override
    def state_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("window", "stride", "id", "step")}
        return {"kind": "series", "channels": list(self.channels), **own}

    @override
    def preprocessor(self) -> Preprocessor:
        return Preprocessor(self.normalizer, FillMissing(self.fill.double()), Interpolate(self.steps))

    @override
    def unprepared(self) -> "SeriesInputs":
        return replace(self, normalizer=Unchanged(), fill=torch.full_like(self.fill, torch.nan))

    @classmethod
    @override
    def restored(cls, state: Mapping[str, Any]) -> "SeriesInputs":
        inputs = {name: value for name, value in state["inputs"].items() if name != "kind"}
        in_graph = torch.full((len(inputs["channels"]),), torch.nan, dtype=torch.float64)
        return cls(restore(state["statistics"]), state.get("fill", in_graph), state["steps"], **inputs)

    @override
    def statistics(self) -> dict[str, Tensor]:
        return {**super().statistics(), "fill": self.fill}

    @override
    def exported_state(self) -> dict[str, Any]:
        return {**super().exported_state(), "steps": self.steps}

    @override
    def signature(self) -> list[dict[str, Any]]:
        names = list(self.channels)
        x = tensor_spec("x", "float64", len(names), TIME, features=names, missing="NaN", most_steps=self.steps)
        return [x, dict(LENGTHS)]

    @override
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        lengths = torch.randint(max(1, self.steps // 2), self.steps + 1, (count,), generator=draw)
        normal = torch.randn(
            count, len(self.channels) * self.normalizer.channels, self.steps, generator=draw, dtype=torch.float64
        )
        return {"x": self.normalizer.inverse(normal), "lengths": lengths}

    @override
    def features(self, rows: Tensors) -> list[Feature]:
        """Returns the channels, and windows of steps."""
        return features_of(rows["x"], self.channels)

    @override
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        objects = {} if self.id is None else {"objects": lambda rows: read_objects(rows, None)}
        return {"arrays": self._read_arrays, **objects}

    @override
    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        # Series have ids of their own, and go alone.
        return {} if self.id is None else {CSV: lambda content: frame_source(parse_csv(content), alone=True)}

    @override
    def request_schema(self) -> dict[str, Any]:
        table = {"id": self.id, "step": self.step} if self.id is not None else {}
        window = {"window": self.window, "stride": self.stride} if self.window is not None else {}
        return {**super().request_schema(), "channels": [*self.channels], "steps": self.steps, **table, **window}

    def _read_arrays(self, rows: list[Any]) -> Source:
        """Reads series (T,) or (C, T) each, null where missing; windows have several answers, and go alone."""
        return Source(as_arrays(rows), len(rows), ("list",) if self.window is None else None)

    @override
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields the series, or their windows, of an .npz, .npy or .ts file, a table in long form, an array, or arrays.

        A series is bad if it has a value beyond float32, no value, or steps that cannot be put in order.
        """
        raw = read_series(source, self.channels, self.id, self.step)
        index, ids, bad = partition(raw.ids, raw.reasons)
        x, lengths = fill_gaps(raw.x[index], raw.lengths[index]), raw.lengths[index]
        series, owners = torch.arange(len(ids)), None
        if self.window is not None:
            series, starts = window_starts(lengths, self.window, self.stride)
            owners = ids[series.numpy()]
            x = windows(x, series, starts, self.window)
            lengths = (lengths[series] - starts).clamp(max=self.window)
            named = owners["series" if "series" in ids.columns else "row"]
            rows = numbered(len(series), start=starts.tolist()).with_columns(series=named)
            ids = rows.select("row", "series", "start")
        note = f"steps behind the {self.steps:,} of the longest train row, cut in so many rows"
        for piece in _pieces(series):
            counts = Counter({note: int((lengths[piece] > self.steps).sum())})
            tensors = self.tensors(x[piece], lengths[piece])
            done = piece.stop / len(ids) if len(ids) else 1.0
            own = None if owners is None else owners[piece]
            yield Chunk(ids[piece], tensors, bad.clear() if piece.start else bad, +counts, raw.notes, done, own)


def _pieces(series: Tensor) -> Iterator[slice]:
    """Yields consecutive rows, at least one slice; all windows of a series are in one, to be refused together.

    Args:
        series: Index of the series of each row (N,), ascending.
    """
    first = last = 0
    while last < len(series) or not first:
        last = min(first + PIECE, len(series))
        last = int(torch.searchsorted(series, series[last - 1], right=True)) if last else 0
        yield slice(first, last)
        first = last or 1
