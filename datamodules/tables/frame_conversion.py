"""Conversion of rows in memory, of pandas and of Python, to polars frames."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import polars
from polars.exceptions import PolarsError
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.json_rows import cell_column, read_objects, reason_of

PANDAS_MISSING = ("NAType", "NaTType")
"""Classes of the values that pandas puts where one is missing, besides NaN."""


def as_frame(source: Any, wanted: Collection[str] = ()) -> Any:
    """Converts rows of a table to a frame; returns other sources, and those of a Series as a list, unchanged.

    Rows are a frame, a dictionary of columns or of one row's values, dictionaries in a list, or a Series of pandas
    whose index has the ``wanted`` names. A frame of pandas needs no pyarrow, and its index is ignored. Raises
    ``DataError`` for rows that are no table.
    """
    if isinstance(source, polars.Series):
        source = source.to_list()
    if hasattr(source, "iloc") and not hasattr(source, "columns"):  # a Series of pandas
        has_names = {*wanted} <= {*map(str, source.index)}
        source = dict(source.items()) if has_names else source.to_list()
    if isinstance(source, list | tuple) and source and all(isinstance(row, Mapping) for row in source):
        read_objects([*source], None)  # every row has the same names
        source = {name: [row[name] for row in source] for name in source[0]}
    elif isinstance(source, Mapping):
        rows = max((len(values) for values in source.values() if _is_column(values)), default=1)
        source = {name: values if _is_column(values) else [values] * rows for name, values in source.items()}
    if isinstance(source, polars.DataFrame) or not (hasattr(source, "columns") or isinstance(source, Mapping)):
        return source
    try:
        if not (hasattr(source, "iloc") or isinstance(source, Mapping)):  # another library's frame
            return polars.DataFrame(source)
        return polars.DataFrame([_column(str(name), values) for name, values in source.items()])
    except (PolarsError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the rows are no table: {reason_of(error)}") from error


def named_array(source: Any, names: Sequence[str]) -> Any:
    """Returns an array (N, F) as a frame if columns have the names that ``array_names`` gives them; others unchanged.

    Raises ``DataError`` for an array where columns have other names, or another number of them.
    """
    if not isinstance(source, numpy.ndarray | Tensor):
        return source
    array = numpy.asarray(source)
    if array.ndim != 2 or [*names] != array_names(array.shape[1]):
        columns = f"{', '.join([*names][:5])}{' ...' * (len(names) > 5)}"
        raise DataError(
            f"an array of the shape {array.shape} does not name its columns, and the model was trained on {columns}; "
            "give a frame"
        )
    return polars.DataFrame(array, schema=[*names])


def array_names(columns: int) -> list[str]:
    """Returns the names of an array's columns, which has none itself."""
    return [f"x{index}" for index in range(columns)]


def check_table(rows: Any) -> polars.DataFrame | str | Path:
    """Returns a frame or the path of a table; raises ``DataError`` for anything else."""
    if not isinstance(rows, polars.DataFrame | str | Path):
        kind = type(rows).__name__
        raise DataError(f"{kind} is no table; give a file, a frame, a dictionary of columns or dictionaries of rows")
    return rows


def _is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0 and not isinstance(value, str | bytes)


def _column(name: str, values: Any) -> polars.Series:
    dtype = getattr(values, "dtype", None)
    if isinstance(values, polars.Series):
        return values.alias(name)
    if isinstance(dtype, numpy.dtype) and dtype.kind in "biufmM":
        return polars.Series(name, values.to_numpy() if hasattr(values, "to_numpy") else values)
    return cell_column(name, [*map(_plain, values)])


def _plain(value: Any) -> Any:
    """Returns a cell as a value of Python, None where it is missing."""
    if isinstance(value, numpy.number | numpy.bool_ | numpy.str_):
        value = value.item()
    if type(value).__name__ in PANDAS_MISSING or (isinstance(value, float) and value != value):
        return None
    return value
