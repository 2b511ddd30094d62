"""Reader of series in a ``.npz`` file of numpy arrays; nothing is unpickled."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import polars
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError, check_names
from datamodules.raw_data import valid
from datamodules.sequences.padded_series import Series, cut, last_steps


def parse(content: bytes, name: str, target: Sequence[str]) -> Series:
    """Returns the series of a file's bytes, which messages call ``name``.

    The array ``x`` is (N, C, T) or (N, T), NaN where a value is missing; ``y`` is (N,) or (N, L). ``lengths`` (N,)
    are the steps of each series; without it, steps at the end that are missing in all channels are padding. All other
    arrays (N,) are columns that the split may depend on.

    Args:
        content: Bytes of the file.
        name: Name of the file in messages.
        target: Arrays (N,) to predict instead of ``y``.

    Raises:
        DataError: For missing arrays, other shapes, and a damaged file.
    """
    arrays = _arrays(content, name)
    for needed in ("x", *(() if target else ("y",))):
        if needed not in arrays:
            raise DataError(f"{name} has no array {needed!r}; there are {', '.join(sorted(arrays)[:10]) or 'none'}")
    x = _inputs(arrays.pop("x"), name)
    lengths = _lengths(arrays.pop("lengths"), x, name) if "lengths" in arrays else last_steps(x)
    infinite = (x.isinf() & valid(lengths, x.shape[2]).unsqueeze(1)).flatten(1).any(dim=1)
    if infinite.any():
        raise DataError(f"x of {name} has infinite values, first in series {int(infinite.nonzero()[0])}; correct them")
    columns = _columns(arrays, len(x), name)
    check_names("target", target, columns.columns)
    targets = list(target) or [column for column in columns.columns if column == "y" or column.startswith("y[")]
    channels = tuple(str(number) for number in range(x.shape[1]))
    return Series(cut(x, lengths), lengths, columns.select(targets), columns.drop(targets), channels)


def parse_inputs(content: bytes, name: str) -> tuple[Tensor, Tensor]:
    """Returns the series alone: values (N, C, T), NaN where missing and 0 behind a series' end, and lengths (N,).

    Args:
        content: Bytes of an .npz file with ``x`` and perhaps ``lengths``, or of an .npy file of the series.
        name: Name of the file in messages.

    Raises:
        DataError: For arrays of other shapes, and for a damaged file.
    """
    arrays = _arrays(content, name)
    if "x" not in arrays:
        raise DataError(f"{name} has no array 'x'; there are {', '.join(sorted(arrays)[:10]) or 'none'}")
    x = _inputs(arrays["x"], name)
    lengths = _lengths(arrays["lengths"], x, name) if "lengths" in arrays else last_steps(x)
    return cut(x, lengths), lengths


def _arrays(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    try:
        loaded = numpy.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return {"x": loaded}
        with loaded as file:
            return {key: file[key] for key in file.files if isinstance(file[key], numpy.ndarray)}
    except Exception as error:  # numpy parses a header as Python, which fails in every way there is
        reason = str(error).partition("\n")[0].rstrip(".")
        reason = "it holds Python objects, save numbers and texts" if "allow_pickle" in reason else reason
        raise DataError(f"{name} cannot be read as .npz: {reason or type(error).__name__}") from error


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
            narrow = values.astype(numpy.float32) if values.dtype == numpy.float16 else values
            columns[column] = polars.Series(
                column, numpy.ascontiguousarray(narrow), nan_to_null=narrow.dtype.kind == "f"
            )
    return polars.DataFrame(columns)
