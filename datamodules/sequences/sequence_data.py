"""Base class of series in memory."""

from dataclasses import replace
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.in_memory import InMemoryData
from datamodules.inspection.summary_columns import InspectionSample
from datamodules.preprocessing.id_column import check_id
from datamodules.preprocessing.modules import FillMissing
from datamodules.raw_data import Rows, first_copies, valid
from datamodules.sequences.inputs import SeriesInputs
from datamodules.sequences.padded_series import Series, fill_gaps, window_starts, windows
from datamodules.sequences.series_gaps import value_gaps
from datamodules.splitting.split_options import Splittable
from datamodules.splitting.splits import Split
from datamodules.tables.targets import Target, check_train_targets, read_target


class SequenceData(InMemoryData):
    """Series of equal or unequal lengths, which a subclass passes to ``take`` in its constructor.

    A row has as many steps as the longest train row: shorter rows are padded at their end, longer val and test rows are
    cut. Missing values are interpolated linearly, and at the ends of a series they become the nearest value. A channel
    without a value in a series becomes its mean in the train rows.

    With ``window``, a row is a window of a series and has its target. Whole series are split, so that ratios and copies
    count series, and the windows of a series are in one split. Row ids count windows through all series in order, and
    ``rows.about`` has the index of the ``series`` and the first step ``start`` of each row.

    Args:
        window: Cut series into rows of so many steps. A shorter series is one shorter row; a remainder that does not
            fill a window is left out.
        stride: Steps from the start of a window to that of the next; by default those of a window.
        kwargs: Options of every data set in memory, see ``InMemoryData``.

    Raises:
        DataError: For options or data that cannot be used.
    """

    modality = "series"

    def __init__(self, window: int | None = None, stride: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if stride is not None and window is None:
            raise DataError("--data.stride is that of windows; say how long they are with --data.window")
        for name, steps in (("window", window), ("stride", stride)):
            if steps is not None and steps < 1:
                raise DataError(f"--data.{name} is a number of steps, at least 1, and it is {steps}")
        self.window = window
        self.stride = stride or window or 1
        self.id: str | None = None
        self.step: str | None = None
        self.fill: Tensor
        self._series: Series
        self._gaps: tuple[str, ...]
        self._target: Target
        self._given: tuple[Tensor | None, Tensor | None]
        self._window_of: tuple[Tensor, Tensor]

    def take(self, series: Series, val: Tensor | None = None, test: Tensor | None = None) -> None:
        """Splits series, learns their number of steps and sets all attributes.

        Args:
            series: All series.
            val: Indices of a validation split that the data come with.
            test: Indices of a test split that they come with.
        """
        self._gaps = value_gaps(series.x, series.lengths, series.channels)
        x = fill_gaps(series.x, series.lengths)
        self._series, self._given = replace(series, x=x), (val, test)
        self._window_of = window_starts(series.lengths, self.window or series.x.shape[2], self.stride)
        self._target, self.task_is_declared = read_target(series.targets, series.task), series.task is not None
        self.target_names = tuple(series.targets.columns)
        _, self.task, self.num_outputs, self.class_names = self._target
        split = self.split_now()
        check_train_targets(Target(self.rows.y, *self._target[1:]), split.train)
        self._set_learned(int(self._lengths()[split.train].max()), self._learned_fill(split.train))
        self.notes = (*self.notes, *self._cut_notes(split))

    def load(self) -> Rows:
        """Returns the series or their windows, NaN where a channel has no value in the whole series."""
        x, y, about = self._series.x, self._target.y, self._series.about
        if self.window is not None:
            series, starts = self._window_of
            x, y = windows(x, series, starts, self.window), y[series]
            about = polars.DataFrame({"series": series.numpy(), "start": starts.numpy()})
        return Rows(x, y, lengths=self._lengths(), about=about)

    def split_now(self) -> Split:
        """Returns the split of the rows, by whole series."""
        if self.split is None:
            series, _ = self._window_of
            parts = [*super().split_now(), self.left_out]
            *split, self.left_out = (torch.isin(series, part).nonzero().flatten() for part in parts)
            self.split = Split(*split)
        return self.split

    def inspection_sample(self) -> InspectionSample:
        """Returns all rows, the gaps inside series, and the values of their channels."""
        series = self._series
        inside = valid(series.lengths, series.x.shape[2])
        channels = zip(series.channels, series.x.unbind(dim=1), strict=True)
        steps = (polars.Series(f"channel {name}", values[inside].numpy()) for name, values in channels)  # one in memory
        return replace(super().inspection_sample(), gaps=self._gaps, step_gaps=series.step_gaps, steps=steps)

    def features(self) -> polars.DataFrame:
        """Returns the mean of each channel and the number of steps, by row."""
        sums, counts = self._sums(torch.arange(len(self.rows.x)))
        means = (sums / counts).T.numpy()
        columns = {f"mean of {name}": mean for name, mean in zip(self._series.channels, means, strict=True)}
        return polars.DataFrame(columns, nan_to_null=True).with_columns(steps=self._lengths().numpy())

    def id_columns(self, index: Tensor) -> polars.DataFrame:
        """Returns ``series``, the id or the index of each row's series, ``start`` of a window, and ``--data.id``."""
        series, starts = (each[index].numpy() for each in self._window_of)
        about, columns = self._series.about, []
        if self.id in about.columns:
            columns.append(about[self.id][series].alias("series"))
        elif self.window is not None:
            columns.append(polars.Series("series", series))
        if self.window is not None:
            columns.append(polars.Series("start", starts))
        if self.id_column is not None:
            columns.append(about[self.id_column][series])
        return polars.DataFrame(columns)

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns series with their gaps filled, and their lengths."""
        return self.inputs.unprepared().tensors(self.rows.x[index], self._lengths()[index])

    @property
    def inputs(self) -> SeriesInputs:
        """Preprocessing: channels, their fill values and statistics, and windows."""
        assert self.statistics is not None
        channels, steps = self._series.channels, self.input_shape[1]
        return SeriesInputs(self.statistics, self.fill, steps, channels, self.window, self.stride, self.id, self.step)

    def state_dict(self) -> dict[str, Any]:
        """Returns split, statistics, number of steps, and the fill value of each channel."""
        state = super().state_dict()
        return {**state, "steps": self.input_shape[1], "fill": self.fill} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces split, statistics, steps and fill values by those of a checkpoint."""
        super().load_state_dict(state_dict)
        if state_dict:
            self._set_learned(state_dict["steps"], state_dict["fill"])

    def _set_learned(self, steps: int, fill: Tensor) -> None:
        self.input_shape, self.fill = self.normalized_shape((len(self._series.channels), steps)), fill

    def _lengths(self) -> Tensor:
        """Returns the steps of each row before rows are cut."""
        series, starts = self._window_of
        return (self._series.lengths[series] - starts).clamp(max=self.window or self._series.x.shape[2])

    def _learned_fill(self, train: Tensor) -> Tensor:
        """Returns the mean (C,) float64 of each channel's values in the train rows."""
        sums, counts = (each.sum(dim=0) for each in self._sums(train))
        if not counts.all():
            name = self._series.channels[int((counts == 0).nonzero()[0])]
            raise DataError(f"channel {name} has no value in the {len(train):,} train rows; leave it out of the data")
        return sums / counts

    def _sums(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Returns sum (N, C) float64 and number (N, C) of each channel's values in some rows."""
        x = self.rows.x.index_select(0, index)
        present = valid(self._lengths()[index], x.shape[2]).unsqueeze(1) & ~x.isnan()
        return x.where(present, 0).sum(dim=2, dtype=torch.float64), present.sum(dim=2)

    def _inputs(self, index: Tensor) -> Tensor:
        filled: Tensor = FillMissing(self.fill)(self.rows.x.index_select(0, index)[..., : self.input_shape[1]])
        return filled

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        return self.inputs.tensors(self.rows.x.index_select(0, index), self._lengths()[index])

    def _cut_notes(self, split: Split) -> list[str]:
        steps, lengths = self.input_shape[1], self._lengths()
        longer = {"val": lengths[split.val] > steps, "test": lengths[split.test] > steps}
        note = f"longer than the {steps} steps of the longest train row, and cut"
        return [
            f"{note}: {int(rows.sum()):,} of {len(rows):,} {name} rows" for name, rows in longer.items() if rows.any()
        ]

    def _splittable(self) -> Splittable:
        series = self._series
        y = self._target.y
        return Splittable(self._find_copies(), self._labels(y), series.about, *self._given, y)

    def _first_copies(self) -> Tensor:
        """Returns for each series the first equal one: copies count series, not windows."""
        return first_copies(self._series.x, self._target.y, self._series.lengths)

    def _check_id(self, name: str, rows: Rows) -> None:
        check_id(name, self._series.about)

    def _check(self, rows: Rows) -> None:
        """No check: the reader checked the series, and NaN is a channel without a value."""
