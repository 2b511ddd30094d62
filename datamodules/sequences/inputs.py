"""From series to normalized rows of one length, with what was learned of the train rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.inputs import Chunk, Reasons, infinite_rows, numbered, sort_out
from datamodules.normalization import Normalizer, restore
from datamodules.rows import valid
from datamodules.sequences import ts_format
from datamodules.sequences.array_file import parse_inputs
from datamodules.sequences.long_form import numbered_series, placed
from datamodules.sequences.padded import cut, fill_gaps, last_steps, pad, window_starts, windows
from datamodules.tables.columns import as_days, as_tensor, check_cells
from datamodules.tables.frames import parse
from datamodules.tables.inputs import as_frame

PIECE = 4096
"""Rows that are made at a time."""


@dataclass
class Raw:
    """Series as they were read: values (N, C, T), NaN where missing; lengths (N,); ids; what is wrong with which."""

    x: Tensor
    lengths: Tensor
    ids: polars.DataFrame
    reasons: Reasons
    notes: tuple[str, ...] = ()


@dataclass
class SeriesInputs:
    """What a model of series is given.

    Args:
        normalizer: Of the channels.
        fill: What stands in for a channel (C,) without a value.
        steps: Of a row at most.
        channels: Their names.
        window: Steps of the windows that series are cut into; None for whole series.
        stride: From one window to the next.
        id: Column of a table in long form that says to which series a row belongs; None where it came otherwise.
        step: Column by which its steps are ordered.
    """

    normalizer: Normalizer
    fill: Tensor
    steps: int
    channels: Sequence[str]
    window: int | None
    stride: int
    id: str | None
    step: str | None

    def tensors(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Rows ``x`` (N, C, T) float32, 0 where they are padded; ``lengths`` unless all have ``steps`` steps.

        Args:
            x: Values (N, C, T), NaN where a channel has none in the whole series.
            lengths: Of the rows (N,); what is behind ``steps`` is cut.
        """
        lengths = lengths.clamp(max=self.steps)
        normal = self.normalizer.apply(filled(x, self.fill, self.steps))
        normal = normal * valid(lengths, normal.shape[2]).unsqueeze(1)
        return {"x": normal} if (lengths == self.steps).all() else {"x": normal, "lengths": lengths}

    def state_dict(self) -> dict[str, Any]:
        """The channels, the windows, and the columns of a table in long form."""
        return {
            "kind": "series",
            "channels": list(self.channels),
            "window": self.window,
            "stride": self.stride,
            "id": self.id,
            "step": self.step,
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "SeriesInputs":
        """From the state of a data module."""
        inputs = {name: value for name, value in state["inputs"].items() if name != "kind"}
        return cls(restore(state["statistics"]), state["fill"], state["steps"], **inputs)

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The series, or their windows, of an .npz, .npy or .ts file, a table in long form, an array, or arrays.

        Bad is a series with an infinite value, without a value, or with steps that cannot be put in order.
        """
        raw = self._read(source)
        places, ids, bad = sort_out(raw.ids, raw.reasons)
        x, lengths = fill_gaps(raw.x[places], raw.lengths[places]), raw.lengths[places]
        if self.window is not None:
            series, starts = window_starts(lengths, self.window, self.stride)
            x = windows(x, series, starts, self.window)
            lengths = (lengths[series] - starts).clamp(max=self.window)
            of_series = ids[series.numpy()]
            named = of_series if "series" in ids.columns else of_series.rename({"row": "series"})
            rows = numbered(len(series), start=starts.tolist())
            ids = rows.hstack(named.select("series")).select("row", "series", "start")
        note = f"steps behind the {self.steps:,} of the longest train row, cut in so many rows"
        for first in range(0, max(1, len(ids)), PIECE):
            some = slice(first, first + PIECE)
            counts = Counter({note: int((lengths[some] > self.steps).sum())})
            tensors = self.tensors(x[some], lengths[some])
            done = min(1.0, (first + PIECE) / max(1, len(ids)))
            yield Chunk(ids[some], tensors, bad if not first else bad.clear(), +counts, raw.notes, done)

    def _read(self, source: Any) -> Raw:
        if not isinstance(source, str | Path):
            frame = as_frame(source)
            return self._long(frame, "the frame") if isinstance(frame, polars.DataFrame) else self._arrays(source)
        name = str(source)
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise DataError(
                f"{name} cannot be read: {error.strerror}; name a .npz, .ts, CSV or Parquet file"
            ) from error
        if name.lower().endswith(".ts"):
            x, lengths, reasons = ts_format.parse_inputs(content, name, len(self.channels))
            return self._checked(Raw(x, lengths, numbered(len(x)), reasons), name)
        if content[:2] == b"PK" or content[:6] == b"\x93NUMPY" or name.lower().endswith((".npz", ".npy")):
            x, lengths = parse_inputs(content, name)
            return self._checked(Raw(x, lengths, numbered(len(x)), {}), name)
        return self._long(parse(content, name), name)

    def _arrays(self, source: Any) -> Raw:
        """An array (N, C, T) or (N, T), or arrays (C, T_i) or (T_i,)."""
        try:
            if isinstance(source, list | tuple):
                arrays = [numpy.atleast_2d(numpy.asarray(one, dtype=numpy.float64)) for one in source]
                if not arrays or any(one.ndim != 2 or one.shape[0] != len(arrays[0]) or not one.size for one in arrays):
                    raise ValueError("series are arrays (C, T), each with the same channels and at least one step")
                x, lengths = pad(arrays)
            else:
                x = torch.from_numpy(numpy.ascontiguousarray(source, dtype=numpy.float64))
                x = x.unsqueeze(1) if x.dim() == 2 else x
                if x.dim() != 3 or not x.numel():
                    raise ValueError(f"the shape is {tuple(x.shape)}, and series are (N, C, T) or (N, T)")
                lengths = last_steps(x)
        except (TypeError, ValueError) as error:
            raise DataError(f"the arrays are no series: {error}") from error
        return self._checked(Raw(cut(x, lengths), lengths, numbered(len(x)), {}), "the array")

    def _long(self, frame: polars.DataFrame, name: str) -> Raw:
        if self.id is None or self.step is None:
            raise DataError(
                f"{name} is a table, and the model was trained on series of another kind of file; save them as .npz"
            )
        wanted = [self.id, self.step, *self.channels]
        lacking = [one for one in wanted if one not in frame.columns]
        if lacking:
            raise DataError(f"{name} lacks the columns {', '.join(lacking)}, which the model was trained with")
        if not len(frame):
            raise DataError(f"{name} has no rows")
        extra = [one for one in frame.columns if one not in wanted]
        notes = (f"columns that the model does not use, ignored: {', '.join(extra[:10])}",) if extra else ()
        series = numbered_series(frame, name, self.id)
        bad: Reasons = {}
        order = _order(frame[self.step])
        keys = polars.DataFrame({"series": series.numpy(), "step": order})
        _mark(bad, series, order.is_null(), f"a row has no {self.step} that can be ordered")
        _mark(bad, series, ~keys.is_unique(), f"several rows have the same {self.step}")
        channels = {}
        for channel in self.channels:
            check_cells(frame[channel])
            values = frame[channel].cast(polars.Float64, strict=False)
            _mark(bad, series, values.is_null() & frame[channel].is_not_null(), f"a {channel} is no number")
            channels[channel] = as_tensor(values)
        row_of = torch.tensor(keys.with_row_index("row").sort("series", "step")["row"].cast(polars.Int64).to_numpy())
        x, lengths = placed(channels, series, row_of)
        named = frame.group_by(self.id, maintain_order=True).agg()[self.id]
        ids = numbered(len(x)).with_columns(series=named)
        return self._checked(Raw(x, lengths, ids, bad, notes), name)

    def _checked(self, raw: Raw, name: str) -> Raw:
        if raw.x.shape[1] != len(self.channels):
            raise DataError(
                f"{name} has {raw.x.shape[1]} channels, and the model was trained on {len(self.channels)}: "
                f"{', '.join(self.channels[:5])}{' ...' * (len(self.channels) > 5)}"
            )
        there = valid(raw.lengths, raw.x.shape[2]).unsqueeze(1)
        empty = (raw.x.isnan() | ~there).flatten(1).all(dim=1).nonzero().flatten().tolist()
        raw.reasons = dict.fromkeys(empty, "it has no value") | infinite_rows(raw.x.where(there, 0)) | raw.reasons
        return raw


def filled(x: Tensor, fill: Tensor, steps: int) -> Tensor:
    """The first steps of series (N, C, T), the channel's fill (C,) where it has no value."""
    x = x[..., :steps]
    return x.where(~x.isnan(), fill.to(x.dtype).unsqueeze(1))


def _order(column: polars.Series) -> polars.Series:
    """What steps are ordered by, null where it is neither a number nor a time."""
    if column.dtype != polars.String:
        return column
    either = (column.cast(polars.Float64, strict=False), as_days(column))
    return min(either, key=lambda one: one.null_count())


def _mark(bad: Reasons, series: Tensor, rows: polars.Series, reason: str) -> None:
    """Note that a series is bad of which one of some rows is."""
    for number in series[torch.from_numpy(rows.to_numpy().copy())].unique().tolist():
        bad.setdefault(number, reason)
