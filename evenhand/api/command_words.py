"""Words of ``evenhand fit`` from objects of Python: classes, settings in a mapping, and data in memory."""

import hashlib
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
import polars
import yaml
from polars.exceptions import PolarsError

import datamodules
from datamodules import DataError
from datamodules.tables.frame_conversion import array_names, as_frame
from experiments.allowed_classes import is_below
from experiments.cli.class_settings import READERS
from experiments.import_allowlist import ALLOWED
from experiments.run.atomic_write import write_atomically
from lit_models import ConfigError

FOLDER = "data"
"""Folder of the data of frames and arrays, in that of all runs."""

SURE = ("TableData", "SeriesData")
"""Classes of ``READERS`` whose files no other class is likely to be meant for."""

ARRAYS = {3: "SeriesData", 4: "ImageData"}
"""Class that reads arrays, by their number of axes; with two they are a table, and with three of bytes grey images."""


@dataclass
class Words:
    """Words of a command, and the packages that they need ``--trust`` for."""

    settings: dict[str, Any] = field(default_factory=dict)
    trust: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """Adds a setting; raises ``ConfigError`` if it is there already."""
        if name in self.settings:
            raise ConfigError(f"settings has {name!r}, and an argument of its own gives it too; leave one of them out")
        self.settings[name] = self._text(name, value)

    def words(self) -> list[str]:
        """Returns the words; each file of a list under ``config`` is one of its own."""
        pairs = [(name, each) for name, value in self.settings.items() for each in _each(value)]
        trusted = [("trust", package) for package in dict.fromkeys(self.trust)]
        return [word for name, value in [*pairs, *trusted] for word in (f"--{name}", value)]

    def _text(self, name: str, value: object) -> Any:
        if isinstance(value, type):
            path = class_path(value)
            self.trust += [] if is_below(path, ALLOWED) else [path]
            return path
        if name in ("c", "config") and isinstance(value, list | tuple):
            return [str(file) for file in value]
        if isinstance(value, str | os.PathLike):
            return os.fspath(value)
        if isinstance(value, numpy.generic | numpy.ndarray):
            value = value.tolist()
        try:
            text = yaml.safe_dump(_plain(value), default_flow_style=True, width=float("inf"))
        except yaml.YAMLError as error:
            raise ConfigError(
                f"settings[{name!r}] is a {type(value).__name__}, and a setting is plain values"
            ) from error
        return text.removesuffix("\n").removesuffix("\n...")


def class_path(cls: type) -> str:
    """Returns the import path of a class; raises ``ConfigError`` for one that another process could not import."""
    if cls.__module__ == "__main__" or "<locals>" in cls.__qualname__:
        raise ConfigError(
            f"the class {cls.__qualname__} is defined in a notebook, a script or a function, from where no later "
            "command can import it; put it into a file such as my_parts.py and import it from there"
        )
    packages = [name for name in ALLOWED if is_below(cls.__module__, [name])]
    public = [name for name in packages if getattr(sys.modules[name], cls.__qualname__, None) is cls]
    return f"{next(iter(public), cls.__module__)}.{cls.__qualname__}"


def add_data(words: Words, data: Any, target: str | Sequence[str] | None, folder: Path) -> None:
    """Adds the words of a data set: a class or its name, a path, a frame, or a pair of inputs and targets.

    Frames and arrays are written below ``folder``, under a digest of their content. Raises ``DataError`` for data of
    another kind, and ``ConfigError`` for a path whose class is not clear.
    """
    if isinstance(data, type) or (isinstance(data, str) and not _is_path(data)):
        words.add("data", data)
    elif isinstance(data, str | os.PathLike):
        if "data" not in words.settings:
            words.add("data", _reader(os.fspath(data)))
        words.add("data.path", data)
    else:
        pair = isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], Mapping)
        x, y = data if pair else (data, None)
        file, reader, names = write_inputs(x, y, target, folder)
        target = target or names
        if "data" not in words.settings:
            words.add("data", reader)
        words.add("data.path", file)
    if target is not None:
        words.add("data.target", target if isinstance(target, str) else list(target))


def write_inputs(
    x: Any, y: Any, target: str | Sequence[str] | None, folder: Path
) -> tuple[Path, str, str | list[str] | None]:
    """Writes a frame, or inputs and targets; returns the file, the class that reads it and the names of the targets.

    Args:
        x: A frame with all columns or, if there is ``y``, with the inputs; or an array (N, F), (N, C, T) or images.
        y: Targets (N,) or (N, R), or None.
        target: Names of the target columns; by default ``y``, or ``y0``, ``y1`` ... of several.
        folder: Folder of the file.
    """
    x = as_frame(x)
    if not isinstance(x, polars.DataFrame):
        if y is None:
            kind = type(x).__name__
            raise DataError(
                f"data is a {kind}; give the name of a data set, a path, a frame, or a pair of arrays (X, y)"
            )
        x = _array(x, "X")
        if x.ndim != 2:
            return _write_arrays(x, _array(y, "y"), folder)
        x = polars.DataFrame(x, schema=array_names(x.shape[1]))
    names: str | list[str] | None = None
    if y is not None:
        frame, names = _targets(y, target)
        if len(frame) != len(x):
            raise DataError(f"X has {len(x):,} rows and y has {len(frame):,}; give a target for each row")
        if shared := [name for name in frame.columns if name in x.columns]:
            raise DataError(f"X has a column {shared[0]} as y has; name that of y with target=")
        x = x.hstack(frame)
    content = io.BytesIO()
    try:
        x.write_parquet(content)
    except PolarsError as error:
        raise DataError(f"the frame cannot be written as Parquet: {str(error).splitlines()[0]}") from error
    return _write(content.getvalue(), folder, ".parquet"), "TableData", names


def _targets(y: Any, target: str | Sequence[str] | None) -> tuple[polars.DataFrame, str | list[str]]:
    frame = as_frame(y) if hasattr(y, "columns") else y  # a Series of pandas would be a row
    if not isinstance(frame, polars.DataFrame):
        values = _array(frame, "y")
        if values.ndim not in (1, 2):
            raise DataError(f"y has the shape {values.shape}; targets are (N,), or (N, R) of several")
        columns = [values] if values.ndim == 1 else [*values.T]
        names = ["y"] if values.ndim == 1 else [f"y{index}" for index in range(len(columns))]
        frame = polars.DataFrame(
            [polars.Series(name, column.tolist()) for name, column in zip(names, columns, strict=True)]
        )
    typed = [target] if isinstance(target, str) else list(target or frame.columns)
    if len(typed) != len(frame.columns):
        raise DataError(f"target has {len(typed)} names, and y has {len(frame.columns)} columns; name each")
    frame.columns = typed
    return frame, typed[0] if len(typed) == 1 else typed


def _write_arrays(x: Any, y: Any, folder: Path) -> tuple[Path, str, None]:
    if x.ndim not in ARRAYS:
        raise DataError(
            f"X has the shape {x.shape}; it is (N, F) of a table, (N, C, T) of series, or (N, H, W, C) of images, "
            "which may be (N, H, W) in bytes"
        )
    if "O" in (x.dtype.kind, y.dtype.kind):
        raise DataError("X or y has values of several kinds; give arrays of numbers, and y may have texts")
    content = io.BytesIO()
    numpy.savez(content, x=x, y=y)
    reader = "ImageData" if x.dtype == numpy.uint8 else ARRAYS[x.ndim]
    return _write(content.getvalue(), folder, ".npz"), reader, None


def _write(content: bytes, folder: Path, ending: str) -> Path:
    file = folder / FOLDER / f"{hashlib.sha256(content).hexdigest()[:16]}{ending}"
    if not file.exists():
        write_atomically(file, content)
    return file


def _array(values: Any, name: str) -> Any:
    """Returns values as an array, one of objects as its elements suggest; a tensor of torch is copied to the CPU."""
    try:
        array = numpy.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
        array = numpy.array(array.tolist()) if array.dtype.kind == "O" else array
    except ValueError as error:
        raise DataError(f"{name} is no array: {error}; rows have to be of one shape") from error
    if array.ndim == 0:
        raise DataError(f"data is a {type(values).__name__}; give the name of a data set, a path, a frame, or (X, y)")
    return array


def _is_path(text: str) -> bool:
    is_name = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", text) and Path(text).suffix.lower() not in READERS
    return not is_name or (os.path.exists(text) and "." not in text and text not in dir(datamodules))


def _reader(path: str) -> str:
    reader = READERS.get(Path(path).suffix.lower(), "")
    if reader not in SURE:
        raise ConfigError(
            f'data {path}: name the class that reads it, as in settings={{"data": "ImageData"}}; TableData, SeriesData '
            "and TextData are others"
        )
    return reader


def _each(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """Returns tuples as lists, and classes and paths inside of mappings and lists as texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    if isinstance(value, numpy.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value
