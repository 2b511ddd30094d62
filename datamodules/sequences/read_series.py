"""Reader of series for prediction, without targets; bad series are recorded with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Reasons, infinite_rows, numbered
from datamodules.preprocessing.json_rows import reason_of
from datamodules.raw_data import valid
from datamodules.regular_file import read_regular
from datamodules.sequences import ts_format
from datamodules.sequences.array_file import parse_inputs
from datamodules.sequences.long_form import numbered_series, placed, sorted_rows
from datamodules.sequences.padded_series import cut, last_steps, pad
from datamodules.tables.casting import as_days, as_tensor, check_cells
from datamodules.tables.frame_conversion import as_frame
from datamodules.tables.read_table import parse
from datamodules.tables.table_source import Table


@dataclass
class Raw:
    """Series as they were read: values (N, C, T), NaN where missing; lengths (N,); ids; why series are bad."""

    x: Tensor
    lengths: Tensor
    ids: polars.DataFrame
    reasons: Reasons
    notes: tuple[str, ...] = ()


def read_series(source: Any, channels: Sequence[str], id: str | None, step: str | None) -> Raw:
    """Returns the series of a file, a frame or arrays, without targets.

    Args:
        source: An .npz, .npy or .ts file; a table in long form, as a file or a frame; an array (N, C, T) or (N, T), or
            arrays (C, T_i) or (T_i,) in a list.
        channels: Names of the channels, which are columns of a table in long form.
        id: Column of the series' ids in a table in long form.
        step: Column by which the steps are ordered there.

    Raises:
        DataError: For a source that cannot be read, or with other channels.
    """
    return _checked(*_read(source, channels, id, step), channels)


def _read(source: Any, channels: Sequence[str], id: str | None, step: str | None) -> tuple[Raw, str]:
    if not isinstance(source, str | Path):
        source = as_frame(source, channels)
        if isinstance(source, polars.DataFrame):
            return _long(source, "the frame", channels, id, step), "the frame"
        return _arrays(source), "the array"
    name = str(source)
    content = read_regular(source, "name a .npz, .ts, CSV or Parquet file")
    if name.lower().endswith(".ts"):
        x, lengths, reasons = ts_format.parse_inputs(content, name, len(channels))
        return Raw(x, lengths, numbered(len(x)), reasons), name
    if content[:2] == b"PK" or content[:6] == b"\x93NUMPY" or name.lower().endswith((".npz", ".npy")):
        x, lengths = parse_inputs(content, name)
        return Raw(x, lengths, numbered(len(x)), {}), name
    return _long(parse(content, name), name, channels, id, step), name


def as_arrays(series: Sequence[Any]) -> list[NDArray[numpy.float64]]:
    """Converts series (C, T_i) or (T_i,) to arrays (C, T_i)."""
    try:
        return [numpy.atleast_2d(numpy.asarray(one, dtype=numpy.float64)) for one in series]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"the arrays are no series: {reason_of(error)}") from error


def _arrays(source: Any) -> Raw:
    """Returns the series of an array (N, C, T) or (N, T), or of arrays (C, T_i) or (T_i,)."""
    if not isinstance(source, list | tuple) and numpy.ndim(source) not in (2, 3):
        shape = numpy.shape(source)
        raise DataError(f"the arrays are no series: the shape is {shape}, and series are (N, C, T) or (N, T)")
    if not isinstance(source, list | tuple) and numpy.size(source):
        whole = torch.tensor(as_arrays([source])[0])
        whole = whole.view(len(whole), -1, whole.shape[-1])
        x, lengths = cut(whole, last_steps(whole))
        return Raw(x, lengths, numbered(len(x)), {})
    arrays = as_arrays(source)
    if not arrays or any(array.ndim != 2 or len(array) != len(arrays[0]) or not array.size for array in arrays):
        raise DataError("the arrays are no series: they are (C, T), each with the same channels and at least one step")
    x, lengths = pad(arrays)
    return Raw(x, lengths, numbered(len(x)), {})


def _long(frame: polars.DataFrame, name: str, channels: Sequence[str], id: str | None, step: str | None) -> Raw:
    if id is None or step is None:
        raise DataError(
            f"{name} is a table, and the model was trained on series of another kind of file; save them as .npz"
        )
    wanted = [id, step, *channels]
    notes = Table(frame, (), name).check(wanted)
    if not len(frame):
        raise DataError(f"{name} has no rows")
    series = numbered_series(frame, name, id)
    bad: Reasons = {}
    order = _order(frame[step])
    keys = polars.DataFrame({"series": series.numpy(), "step": order})
    _mark(bad, series, order.is_null(), f"a row has no {step} that can be ordered")
    _mark(bad, series, ~keys.is_unique(), f"several rows have the same {step}")
    columns = {}
    for channel in channels:
        check_cells(frame[channel])
        values = frame[channel].cast(polars.Float64, strict=False)
        _mark(bad, series, values.is_null() & frame[channel].is_not_null(), f"a {channel} is no number")
        columns[channel] = as_tensor(values)
    x, lengths = placed(columns, series, sorted_rows(keys))
    ids = numbered(len(x)).with_columns(series=frame[id].unique(maintain_order=True))
    return Raw(x, lengths, ids, bad, notes)


def _checked(raw: Raw, name: str, channels: Sequence[str]) -> Raw:
    if raw.x.shape[1] != len(channels):
        raise DataError(
            f"{name} has {raw.x.shape[1]} channels, and the model was trained on {len(channels)}: "
            f"{', '.join(channels[:5])}{' ...' * (len(channels) > 5)}"
        )
    steps = valid(raw.lengths, raw.x.shape[2]).unsqueeze(1)
    empty = (raw.x.isnan() | ~steps).flatten(1).all(dim=1).nonzero().flatten().tolist()
    raw.reasons = dict.fromkeys(empty, "it has no value") | infinite_rows(raw.x) | raw.reasons
    return raw


def _order(column: polars.Series) -> polars.Series:
    """Casts the steps to numbers or times, null where a value is neither."""
    if column.dtype != polars.String:
        return column
    return min(column.cast(polars.Float64, strict=False), as_days(column), key=polars.Series.null_count)


def _mark(bad: Reasons, series: Tensor, rows: polars.Series, reason: str) -> None:
    """Adds a reason for every series that contains one of the rows."""
    for number in series[torch.from_numpy(rows.to_numpy().copy())].unique().tolist():
        bad.setdefault(number, reason)
