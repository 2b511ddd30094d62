"""Sentences on gaps inside series: missing values, and missing steps."""

from collections.abc import Sequence

import polars
import torch
from torch import Tensor

from datamodules.raw_data import valid

SHOWN = 5
"""Channels that are named."""

MOSTLY = 0.9
"""Fraction of equal distances from which on steps are regular, and a longer distance is a gap."""

UNITS = {"days": 1.0, "hours": 24.0, "minutes": 1440.0, "seconds": 86_400.0}
"""Units of a day."""


def value_gaps(x: Tensor, lengths: Tensor, channels: Sequence[str]) -> tuple[str, ...]:
    """Returns a sentence for each of the first channels with missing values inside of series (N, C, T)."""
    inside = valid(lengths, x.shape[2])
    sentences = []
    for name, values in zip(channels, x.unbind(dim=1), strict=True):
        missing = values.isnan() & inside
        series = missing.any(dim=1)
        if not series.any():
            continue
        whole = int((missing.sum(dim=1) == lengths).sum())
        empty = f"; {whole:,} of them have none, and get the mean of the train rows" if whole else ""
        sentences.append(
            f"{name} has {int(missing.sum()):,} missing values in {int(series.sum()):,} of all {len(x):,} series, "
            f"up to {_longest(missing[series])} in a row, which are interpolated{empty}"
        )
    more = len(sentences) - SHOWN
    return (*sentences[:SHOWN], *([f"{more} more channels have missing values too"] if more > 0 else []))


def step_gaps(steps: polars.Series, series: Tensor) -> str:
    """Returns a sentence if steps are missing between regular ones; "" otherwise.

    ``steps`` are numbers or times, ordered within each series, and ``series`` (rows,) has the index of each one's.
    """
    is_time = steps.dtype.is_temporal()
    numbers = steps.to_physical() if is_time else steps
    scale = _day(steps.dtype) if is_time else 1.0
    values = torch.tensor(numbers.cast(polars.Float64).to_numpy())
    same = series[1:] == series[:-1]
    distances = values.diff()[same]
    if not len(distances):
        return ""
    usual = distances.median()
    gaps = distances > 1.5 * usual
    regular = ((distances - usual).abs() <= 1e-3 * usual).double().mean()
    if not usual > 0 or regular < MOSTLY or not gaps.any():
        return ""
    lacking = int((distances[gaps] / usual - 1).round().sum())
    number = len(series[1:][same][gaps].unique())
    typical, largest = (_amount(float(value) / scale, is_time) for value in (usual, distances.max()))
    verb, every = "s are" if lacking > 1 else " is", int(series.max()) + 1
    return (
        f"{lacking:,} step{verb} missing inside {number:,} of all {every:,} "
        f"series: {steps.name} mostly goes up by {typical}, and by up to {largest}; "
        "the steps beside a gap are read as neighbours"
    )


def _longest(missing: Tensor) -> int:
    """Returns the largest number of consecutive missing steps of series (N, T)."""
    steps = torch.arange(1, missing.shape[1] + 1, dtype=torch.int32)
    last = torch.where(missing, 0, steps).cummax(dim=1).values
    return int((steps - last).max())


def _day(dtype: polars.DataType) -> float:
    """Returns how many units of a type of dates or times are a day."""
    if dtype == polars.Date:
        return 1.0
    unit = getattr(dtype, "time_unit", "ns")
    return 86_400 * {"ms": 1e3, "us": 1e6, "ns": 1e9}[unit]


def _amount(value: float, is_time: bool) -> str:
    if not is_time:
        return f"{value:g}"
    unit, number = next(((unit, value * size) for unit, size in UNITS.items() if value * size >= 1), ("seconds", 0.0))
    number = number or value * UNITS["seconds"]
    return f"{number:g} {unit.removesuffix('s') if number == 1 else unit}"
