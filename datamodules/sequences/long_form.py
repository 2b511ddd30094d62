"""Reader of series in long form: a table with a row for each step."""

from collections.abc import Mapping, Sequence

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError, check_names
from datamodules.sequences.padded_series import Series
from datamodules.sequences.series_gaps import step_gaps
from datamodules.tables.casting import to_numbers


def from_long(
    frame: polars.DataFrame,
    name: str,
    id: str,
    step: str,
    target: Sequence[str],
    drop: Sequence[str] = (),
    split_columns: Sequence[str] = (),
) -> tuple[Series, list[str]]:
    """Returns the series of a table, in the order of their first rows.

    Channels are the columns of numbers and truth values that no argument names; a missing value is NaN.

    Args:
        frame: A row for each step, in any order.
        name: Name of the table in messages.
        id: Column of the series' ids.
        step: Column of numbers, dates or times by which the steps of a series are ordered, whatever their distances.
        target: Columns to predict, constant within a series.
        drop: Columns that are no channels.
        split_columns: Columns that the split depends on, constant within a series.

    Returns:
        The series, and the columns that hold no numbers and that no argument names, which are not used.

    Raises:
        DataError: For columns that are missing or have other values.
    """
    for option, names in {"id": [id], "step": [step], "target": target, "drop": drop}.items():
        check_names(option, names, frame.columns)
    if len({id, step, *target, *drop}) < 2 + len(target) + len(drop) or {step, *target} & set(split_columns):
        raise DataError("--data.id, --data.step, --data.target and --data.drop name different columns, each one once")
    series = numbered_series(frame, name, id)
    row_of = _in_order(frame, name, id, step, series)
    rest = [column for column in frame.columns if column not in {id, step, *target, *drop, *split_columns}]
    channels = [column for column in rest if frame[column].dtype.is_numeric() or frame[column].dtype == polars.Boolean]
    if not channels:
        raise DataError(f"{name} has no column of numbers besides those that are named, and series need one")
    first = numpy.unique(series.numpy(), return_index=True)[1]
    changing = _changing(frame.drop(channels), first[series.numpy()])
    for column in (*target, *split_columns):
        if column in changing:
            raise DataError(
                f"column {column} of {name} is not the same in all steps of series {frame[id][changing[column]]!r}; "
                "targets and columns of the split belong to a whole series"
            )
    x, lengths = placed({channel: to_numbers(frame[channel]) for channel in channels}, series, row_of)
    about = frame.drop(*channels, *target, *changing)[first]
    unused = [column for column in rest if column not in channels]
    gaps = tuple(filter(None, [step_gaps(frame[step][row_of.numpy()], series[row_of])]))
    return Series(x, lengths, frame.select(target)[first], about, tuple(channels), step_gaps=gaps), unused


def placed(channels: Mapping[str, Tensor], series: Tensor, row_of: Tensor) -> tuple[Tensor, Tensor]:
    """Arranges columns (rows,) of steps as series (N, C, T) float64, 0 behind the end of each, with lengths (N,).

    ``series`` (rows,) has the index of each row's series, ``row_of`` the rows, series by series, in the order of steps.
    """
    lengths = torch.bincount(series)
    step_of = torch.arange(len(series)) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    x = torch.zeros(len(lengths), len(channels), int(lengths.max()), dtype=torch.float64)
    for number, values in enumerate(channels.values()):
        x[series[row_of], number, step_of] = values[row_of]
    return x, lengths


def numbered_series(frame: polars.DataFrame, name: str, id: str) -> Tensor:
    """Returns the index of each row's series (rows,), in the order of their first rows."""
    _check_complete(frame, name, "id", id)
    column = frame[id].alias("id").to_frame().with_row_index("row")
    numbers = column.select((polars.col("row").min().over("id").rank("dense") - 1).cast(polars.Int64))
    return torch.tensor(numbers.to_series().to_numpy())


def _in_order(frame: polars.DataFrame, name: str, id: str, step: str, series: Tensor) -> Tensor:
    """Returns the rows, series by series, each in the order of its steps."""
    _check_complete(frame, name, "step", step)
    column = frame[step]
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        raise DataError(
            f"column {step} of {name} orders the steps and holds {column.dtype}, not numbers, dates or times"
        )
    keys = polars.DataFrame({"series": series.numpy(), "step": column})
    if again := keys.is_duplicated().arg_true().to_list():
        row = again[0]
        raise DataError(
            f"{name} has more than one row of series {frame[id][row]!r} with {step} {column[row]}; keep one"
        )
    return sorted_rows(keys)


def sorted_rows(keys: polars.DataFrame) -> Tensor:
    """Returns the rows ordered by the columns ``series`` and ``step``."""
    return torch.tensor(keys.with_row_index("row").sort("series", "step")["row"].cast(polars.Int64).to_numpy())


def _check_complete(frame: polars.DataFrame, name: str, option: str, column: str) -> None:
    if missing := frame[column].is_null().arg_true().to_list():
        raise DataError(f"column {column} of {name} is missing in row {missing[0]}, see --data.{option}")


def _changing(frame: polars.DataFrame, first: NDArray[numpy.int64]) -> dict[str, int]:
    """Returns the columns that differ from the ``first`` row of a row's series, and for each one such row."""
    differs = {column.name: column.ne_missing(column[first]).arg_true() for column in frame.iter_columns()}
    return {name: rows[0] for name, rows in differs.items() if len(rows)}
