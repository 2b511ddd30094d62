"""Series of equal or unequal lengths in one tensor: padding, gaps, windows, and several files together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from datamodules.errors import DataError
from datamodules.preprocessing.modules import Interpolate
from datamodules.raw_data import valid
from datamodules.types import TaskName


@dataclass
class Series:
    """Series as they were read.

    Args:
        x: Values (N, C, T), float32 or float64, NaN where missing and 0 behind a series' end.
        lengths: Steps of each series (N,) int64, 1 to T.
        targets: Target columns, N rows.
        about: Columns that the split may go by, N rows.
        channels: The channels' names.
        task: What is asked; what the target looks like where it is None.
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
    """Interpolates the missing values of series (N, C, T), see ``Interpolate``."""
    return cast(Tensor, Interpolate(x.shape[2])(x, lengths))


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
    room = functional.pad(x, (0, max(0, window - x.shape[2])))
    return room.unfold(2, window, 1)[series, :, starts]


def join(files: Sequence[Series], names: Sequence[str]) -> Series:
    """The series of several files, one file after another, without targets, and without columns to split by.

    Raises:
        DataError: For files with different channels.
    """
    for one, name in zip(files, names, strict=True):
        if one.channels != files[0].channels:
            raise DataError(
                f"{name} has the channels {_some(one.channels)} and {names[0]} has {_some(files[0].channels)}; "
                "they must be the same"
            )
    steps = max(one.x.shape[2] for one in files)
    x = torch.cat([functional.pad(one.x, (0, steps - one.x.shape[2])) for one in files])
    lengths = torch.cat([one.lengths for one in files])
    return Series(x, lengths, polars.DataFrame(), polars.DataFrame(), files[0].channels, files[0].task)


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{' ...' * (len(names) > 5)}"
