"""From series to normalized rows of one length, with what was learned of the train rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from datamodules.preprocessing.inputs import Chunk, numbered, sort_out
from datamodules.preprocessing.normalization import Normalizer, Unchanged, restore
from datamodules.raw_data import valid
from datamodules.sequences.padded_series import fill_gaps, window_starts, windows
from datamodules.sequences.read_series import read_series

PIECE = 4096
"""Rows that are made at a time."""


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

    def unprepared(self) -> "SeriesInputs":
        """Values as they come, NaN in a channel that has none in a whole series."""
        return replace(self, normalizer=Unchanged(), fill=torch.full_like(self.fill, torch.nan))

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "SeriesInputs":
        """From the state of a data module."""
        inputs = {name: value for name, value in state["inputs"].items() if name != "kind"}
        return cls(restore(state["statistics"]), state["fill"], state["steps"], **inputs)

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The series, or their windows, of an .npz, .npy or .ts file, a table in long form, an array, or arrays.

        Bad is a series with an infinite value, without a value, or with steps that cannot be put in order.
        """
        raw = read_series(source, self.channels, self.id, self.step)
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


def filled(x: Tensor, fill: Tensor, steps: int) -> Tensor:
    """The first steps of series (N, C, T), the channel's fill (C,) where it has no value."""
    x = x[..., :steps]
    return x.where(~x.isnan(), fill.to(x.dtype).unsqueeze(1))
