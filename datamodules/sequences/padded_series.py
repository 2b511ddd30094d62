"""Series of equal or unequal lengths in one tensor: padding, gaps, windows, concatenation of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from datamodules.errors import DataError
from datamodules.preprocessing.modules import Interpolate
from datamodules.raw_data import valid
from datamodules.types import TaskName


@dataclass
class Series:
    """N series as they were read."""

    x: Tensor  # (N, C, T), float32 or float64, NaN where missing and 0 behind a series' end
    lengths: Tensor  # steps of each series (N,) int64, 1 to T
    targets: polars.DataFrame
    about: polars.DataFrame  # columns that the split may depend on
    channels: tuple[str, ...]
    task: TaskName | None = None  # None if it is inferred from the target
    step_gaps: tuple[str, ...] = ()  # sentences on steps that are missing inside series


def pad(arrays: Sequence[NDArray[numpy.floating]]) -> tuple[Tensor, Tensor]:
    """Stacks arrays (C, T_i), each up to its last step with a value, to (N, C, T), and returns their lengths (N,)."""
    steps = [torch.from_numpy(array.T) for array in arrays]
    x = pad_sequence(steps, batch_first=True, padding_value=torch.nan).transpose(1, 2).contiguous()
    return cut(x, last_steps(x))


def last_steps(x: Tensor) -> Tensor:
    """Returns lengths (N,) of series (N, C, T) up to the last step with a value in any channel, at least 1."""
    there = ~x.isnan().all(dim=1)
    steps = torch.arange(1, x.shape[2] + 1)
    return (there * steps).amax(dim=1).clamp(min=1)


def cut(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Cuts series (N, C, T) to the longest one, with 0 behind the end of each; returns them and their lengths."""
    longest = int(lengths.max())
    return x[..., :longest].masked_fill(~valid(lengths, longest).unsqueeze(1), 0), lengths


def fill_gaps(x: Tensor, lengths: Tensor) -> Tensor:
    """Interpolates the missing values of series (N, C, T), see ``Interpolate``."""
    return cast(Tensor, Interpolate(x.shape[2])(x, lengths))


def window_starts(lengths: Tensor, window: int, stride: int) -> tuple[Tensor, Tensor]:
    """Returns the windows of series in order: the index of the series (M,) and the first step (M,) of each.

    A remainder that does not fill a window is left out; a series shorter than a window is one shorter window.
    """
    counts = (lengths - window).clamp(min=0) // stride + 1
    series = torch.arange(len(lengths)).repeat_interleave(counts)
    first = (counts.cumsum(0) - counts)[series]
    return series, (torch.arange(len(series)) - first) * stride


def windows(x: Tensor, series: Tensor, starts: Tensor, window: int) -> Tensor:
    """Returns the windows (M, C, window) of series (N, C, T) that begin at ``starts``."""
    padded = functional.pad(x, (0, max(0, window - x.shape[2])))
    return padded.unfold(2, window, 1)[series, :, starts]


def join(files: Sequence[Series], names: Sequence[str]) -> Series:
    """Concatenates the series of files with the same channels, without targets, and the columns that all have."""
    for series, name in zip(files, names, strict=True):
        if series.channels != files[0].channels:
            raise DataError(
                f"{name} has the channels {_first_names(series.channels)} and {names[0]} has "
                f"{_first_names(files[0].channels)}; they must be the same"
            )
    steps = max(series.x.shape[2] for series in files)
    x = torch.cat([functional.pad(series.x, (0, steps - series.x.shape[2])) for series in files])
    lengths = torch.cat([series.lengths for series in files])
    columns = [{*series.about.schema.items()} for series in files]
    shared = [name for name, dtype in files[0].about.schema.items() if all((name, dtype) in each for each in columns)]
    about = polars.concat([series.about.select(shared) for series in files])
    gaps = tuple(f"{gap} (of {name})" for series, name in zip(files, names, strict=True) for gap in series.step_gaps)
    return Series(x, lengths, polars.DataFrame(), about, files[0].channels, files[0].task, gaps)


def _first_names(names: Sequence[str]) -> str:
    return f"{', '.join(names[:5])}{' ...' * (len(names) > 5)}"
