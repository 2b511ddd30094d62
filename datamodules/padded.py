"""Series of unequal lengths in one tensor: padding, gaps, windows, and several files together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import polars
import torch
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.base import TaskName
from datamodules.errors import DataError
from datamodules.rows import valid


@dataclass
class Series:
    """Series as they were read.

    Args:
        x: Values (N, C, T), float32 or float64, NaN where missing and 0 behind a series' end.
        lengths: Steps of each series (N,) int64, 1 to T.
        targets: Target columns, N rows.
        about: Columns that the split may go by, N rows.
        channels: The channels' names.
        task: What the file itself says of the target, multiclass for any number of classes; None if it says nothing.
    """

    x: Tensor
    lengths: Tensor
    targets: polars.DataFrame
    about: polars.DataFrame
    channels: tuple[str, ...]
    task: TaskName | None = None


def pad(arrays: Sequence[NDArray[numpy.floating]]) -> tuple[Tensor, Tensor]:
    """Arrays (C, T_i) -> (N, C, T) with zeros behind the shorter ones, and their lengths (N,)."""
    lengths = torch.tensor([array.shape[1] for array in arrays])
    x = torch.zeros(len(arrays), len(arrays[0]), int(lengths.max()), dtype=torch.from_numpy(arrays[0]).dtype)
    for row, array in zip(x, arrays, strict=True):
        row[:, : array.shape[1]] = torch.from_numpy(array)
    return x, lengths


def last_steps(x: Tensor) -> Tensor:
    """Lengths (N,) of series (N, C, T) that end with their last step at which any channel has a value, at least 1."""
    there = ~x.isnan().all(dim=1)
    steps = torch.arange(1, x.shape[2] + 1)
    return (there * steps).amax(dim=1).clamp(min=1)


def cut(x: Tensor, lengths: Tensor) -> Tensor:
    """Series (N, C, T) without the steps that none has, and 0 behind each one's end."""
    longest = int(lengths.max())
    return x[..., :longest].masked_fill(~valid(lengths, longest).unsqueeze(1), 0)


def fill_gaps(x: Tensor, lengths: Tensor) -> Tensor:
    """Missing values (N, C, T) on the line between the values beside them, at the ends the nearest one's.

    A channel that has no value in a series stays NaN there.
    """
    filled = x.clone()
    for row, channel in x.isnan().any(dim=2).nonzero().tolist():
        values = filled[row, channel, : lengths[row]].numpy()  # shares its memory
        missing = numpy.isnan(values)
        if not missing.all():
            places = numpy.flatnonzero(~missing)
            values[missing] = numpy.interp(numpy.flatnonzero(missing), places, values[places])
    return filled


def window_starts(lengths: Tensor, window: int, stride: int) -> tuple[Tensor, Tensor]:
    """Which windows series are cut into: the series (M,) and the first step (M,) of each, in order.

    Windows that a series fills; a series shorter than one is a shorter window of its own.
    """
    counts = (lengths - window).clamp(min=0) // stride + 1
    series = torch.arange(len(lengths)).repeat_interleave(counts)
    first = (counts.cumsum(0) - counts)[series]
    return series, (torch.arange(len(series)) - first) * stride


def windows(x: Tensor, series: Tensor, starts: Tensor, window: int) -> Tensor:
    """The windows (M, C, window) of series (N, C, T) that begin at some steps."""
    longest = torch.nn.functional.pad(x, (0, window))  # the last start of the shortest series has this much behind it
    return longest.unfold(2, window, 1)[series, :, starts].contiguous()


def join(files: Sequence[Series], names: Sequence[str]) -> Series:
    """The series of several files, one file after another.

    Raises:
        DataError: For files with different channels or columns.
    """
    first = files[0]
    for one, name in zip(files[1:], names[1:], strict=True):
        if one.channels != first.channels:
            raise DataError(
                f"{name} has the channels {_some(one.channels)} and {names[0]} has {_some(first.channels)}; "
                "they must be the same"
            )
        if one.task != first.task:
            raise DataError(f"{name} and {names[0]} do not both have class labels or both have values to predict")
    steps = max(one.x.shape[2] for one in files)
    padded = [torch.nn.functional.pad(one.x, (0, steps - one.x.shape[2])) for one in files]
    return Series(
        torch.cat(padded),
        torch.cat([one.lengths for one in files]),
        _stacked([one.targets for one in files], names),
        _stacked([one.about.select(polars.all()) for one in files], names),
        first.channels,
        first.task,
    )


def _stacked(frames: Sequence[polars.DataFrame], names: Sequence[str]) -> polars.DataFrame:
    first = frames[0]
    for frame, name in zip(frames[1:], names[1:], strict=True):
        odd = set(frame.columns) ^ set(first.columns)
        if odd:
            raise DataError(f"{name} and {names[0]} do not both have the column {min(odd)}")
    try:
        return polars.concat([frame.select(first.columns) for frame in frames], how="vertical_relaxed")
    except PolarsError as error:
        raise DataError(f"the columns of {' and '.join(names)} are of different types: {error}") from error


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{' ...' * (len(names) > 5)}"
