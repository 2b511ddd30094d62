"""Reader of series for prediction, without targets; bad series are recorded with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Reasons, infinite_rows, numbered
from datamodules.raw_data import valid
from datamodules.regular_file import check_regular
from datamodules.sequences import ts_format
from datamodules.sequences.array_file import parse_inputs
from datamodules.sequences.long_form import numbered_series, placed
from datamodules.sequences.padded_series import cut, last_steps, pad
from datamodules.tables.casting import as_days, as_tensor, check_cells
from datamodules.tables.inputs import as_frame
from datamodules.tables.read_table import parse


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
        frame = as_frame(source)
        if isinstance(frame, polars.DataFrame):
            return _long(frame, "the frame", channels, id, step), "the frame"
        return _arrays(source), "the array"
    name = str(source)
    check_regular(source)
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}; name a .npz, .ts, CSV or Parquet file") from error
    if name.lower().endswith(".ts"):
        x, lengths, reasons = ts_format.parse_inputs(content, name, len(channels))
        return Raw(x, lengths, numbered(len(x)), reasons), name
    if content[:2] == b"PK" or content[:6] == b"\x93NUMPY" or name.lower().endswith((".npz", ".npy")):
        x, lengths = parse_inputs(content, name)
        return Raw(x, lengths, numbered(len(x)), {}), name
    return _long(parse(content, name), name, channels, id, step), name


def _arrays(source: Any) -> Raw:
    """Returns the series of an array (N, C, T) or (N, T), or of arrays (C, T_i) or (T_i,)."""
    try:
        if isinstance(source, list | tuple):
            arrays = [numpy.atleast_2d(numpy.asarray(array, dtype=numpy.float64)) for array in source]
            shape_error = any(array.ndim != 2 or array.shape[0] != len(arrays[0]) or not array.size for array in arrays)
            if not arrays or shape_error:
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
    return Raw(cut(x, lengths), lengths, numbered(len(x)), {})


def _long(frame: polars.DataFrame, name: str, channels: Sequence[str], id: str | None, step: str | None) -> Raw:
    if id is None or step is None:
        raise DataError(
            f"{name} is a table, and the model was trained on series of another kind of file; save them as .npz"
        )
    wanted = [id, step, *channels]
    lacking = [column for column in wanted if column not in frame.columns]
    if lacking:
        raise DataError(f"{name} lacks the columns {', '.join(lacking)}, which the model was trained with")
    if not len(frame):
        raise DataError(f"{name} has no rows")
    extra = [column for column in frame.columns if column not in wanted]
    notes = (f"columns that the model does not use, ignored: {', '.join(extra[:10])}",) if extra else ()
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
    row_of = torch.tensor(keys.with_row_index("row").sort("series", "step")["row"].cast(polars.Int64).to_numpy())
    x, lengths = placed(columns, series, row_of)
    named = frame.group_by(id, maintain_order=True).agg()[id]
    ids = numbered(len(x)).with_columns(series=named)
    return Raw(x, lengths, ids, bad, notes)


def _checked(raw: Raw, name: str, channels: Sequence[str]) -> Raw:
    if raw.x.shape[1] != len(channels):
        raise DataError(
            f"{name} has {raw.x.shape[1]} channels, and the model was trained on {len(channels)}: "
            f"{', '.join(channels[:5])}{' ...' * (len(channels) > 5)}"
        )
    steps = valid(raw.lengths, raw.x.shape[2]).unsqueeze(1)
    empty = (raw.x.isnan() | ~steps).flatten(1).all(dim=1).nonzero().flatten().tolist()
    raw.reasons = dict.fromkeys(empty, "it has no value") | infinite_rows(raw.x.where(steps, 0)) | raw.reasons
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
