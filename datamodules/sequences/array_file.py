"""Reader of series in a ``.npz`` file of numpy arrays; nothing is unpickled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError, check_names
from datamodules.numpy_file import read_numpy
from datamodules.preprocessing.inputs import infinite_rows
from datamodules.sequences.padded_series import Series, cut, last_steps


def parse(content: bytes, name: str, target: Sequence[str]) -> Series:
    """Returns the series of a file's bytes, which messages call ``name``.

    The array ``x`` is (N, C, T) or (N, T), NaN where a value is missing; ``y`` is (N,) or (N, L), or ``target`` names
    arrays (N,) to predict instead. ``lengths`` (N,) are the steps of each series; without it, steps at the end that are
    missing in all channels are padding. All other arrays (N,) are columns that the split may depend on.

    Raises:
        DataError: For missing arrays, other shapes, values beyond float32, and a damaged file.
    """
    arrays = read_numpy(content, name)
    x, lengths = _series(arrays, name, () if target else ("y",))
    if bad := infinite_rows(x):
        raise DataError(
            f"x of {name} has values that are infinite or beyond float32, first in series {min(bad)}; correct it"
        )
    columns = _columns(arrays, len(x), name)
    check_names("target", target, columns.columns)
    targets = list(target) or [column for column in columns.columns if column == "y" or column.startswith("y[")]
    channels = tuple(map(str, range(x.shape[1])))
    return Series(x, lengths, columns.select(targets), columns.drop(targets), channels)


def parse_inputs(content: bytes, name: str) -> tuple[Tensor, Tensor]:
    """Returns the series of an .npz or .npy file alone: values (N, C, T), NaN where missing, and lengths (N,)."""
    return _series(read_numpy(content, name), name)


def _series(arrays: dict[str, NDArray[Any]], name: str, further: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
    """Takes series and their lengths out of arrays, of which ``further`` are needed too."""
    for needed in ("x", *further):
        if needed not in arrays:
            raise DataError(f"{name} has no array {needed!r}; there are {', '.join(sorted(arrays)[:10]) or 'none'}")
    x = _inputs(arrays.pop("x"), name)
    return cut(x, _lengths(arrays.pop("lengths"), x, name) if "lengths" in arrays else last_steps(x))


def _inputs(x: NDArray[Any], name: str) -> Tensor:
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3) or not all(x.shape):
        raise DataError(
            f"x of {name} is {x.dtype} of shape {x.shape}, and series are numbers of shape (N, C, T) or (N, T)"
        )
    exact = numpy.float32 if numpy.can_cast(x.dtype, numpy.float32) else numpy.float64
    series = torch.from_numpy(numpy.ascontiguousarray(x, dtype=exact))
    return series.unsqueeze(1) if x.ndim == 2 else series


def _lengths(lengths: NDArray[Any], x: Tensor, name: str) -> Tensor:
    if lengths.dtype.kind not in "iu" or lengths.shape != (len(x),):
        raise DataError(
            f"lengths of {name} is {lengths.dtype} of shape {lengths.shape}, and must be int of ({len(x)},)"
        )
    if lengths.min() < 1 or lengths.max() > x.shape[2]:
        raise DataError(f"lengths of {name} go from {lengths.min()} to {lengths.max()}, beyond 1 to {x.shape[2]}")
    return torch.from_numpy(lengths.astype(numpy.int64))


def _columns(arrays: Mapping[str, NDArray[Any]], rows: int, name: str) -> polars.DataFrame:
    columns = {}
    for key, array in arrays.items():
        wide = key == "y" and array.ndim == 2
        if array.shape[:1] != (rows,) or not (array.ndim == 1 or wide):
            raise DataError(f"{key} of {name} has the shape {array.shape}, and x has {rows} series")
        if array.dtype.kind not in "fiubUM":
            raise DataError(f"{key} of {name} is {array.dtype}; save it as numbers or texts")
        parts = {f"{key}[{number}]": values for number, values in enumerate(array.T)} if wide else {key: array}
        for column, values in parts.items():
            dtype = numpy.float32 if values.dtype == numpy.float16 else values.dtype
            whole = numpy.ascontiguousarray(values, dtype=dtype)
            columns[column] = polars.Series(column, whole, nan_to_null=whole.dtype.kind == "f")
    return polars.DataFrame(columns)
