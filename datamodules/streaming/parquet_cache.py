"""Cache of Parquet tables as arrays on disk: rows of an array can be read without the others."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.progress import progress
from datamodules.splitting.splits import PARTS
from datamodules.streaming.npy_file import DiskArray, array_writer
from datamodules.streaming.parquet_columns import (
    group_hashes,
    learn_target_encoding,
    split_indices,
    table_codes,
)
from datamodules.streaming.parquet_files import ParquetFiles, Piece
from datamodules.tables.casting import check_cells, check_complete, to_numbers
from datamodules.tables.cell_types import stored
from datamodules.tables.columns import ColumnType, Kinds, read_cells, type_of
from datamodules.tables.targets import is_whole
from datamodules.types import TaskName

SMALL = (polars.Float32, polars.Float16, polars.Int8, polars.UInt8, polars.Int16, polars.UInt16)
"""Data types whose values float32 represents exactly."""

FORMAT = 3
"""Version of the cache's files; a folder of another version is not used."""


@dataclass(frozen=True)
class ColumnSelection:
    """Columns of a table and their use, as the options of ``StreamedTable`` name them."""

    inputs: tuple[str, ...]  # in the order of the file
    target: tuple[str, ...]
    task: TaskName | None
    types: dict[str, ColumnType]
    missing: tuple[str, ...]
    group: str | None
    split_column: str | None


def convert(
    files: Sequence[ParquetFiles], selection: ColumnSelection, cache: Path
) -> tuple[dict[str, Any], dict[str, DiskArray]]:
    """Returns what ``write`` returns and the arrays ``numbers`` (N, F), ``codes`` (N, C), ``y`` and ``keys`` (N,).

    They come from the cache if these files, of train, val and test, were converted before. The next conversion clears
    the folder of a killed one; two processes with the same table wait for one another.

    Raises:
        DataError: For columns that cannot be used, or a full disk.
    """
    paths = [str(path.absolute()) for one in files for path in one.paths]
    key = json.dumps([FORMAT, paths, [len(one.paths) for one in files], asdict(selection)], sort_keys=True)
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    state = [[stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns] for stat in map(os.stat, paths)]
    try:
        with _locked(folder):
            if not _is_current(folder, state):
                new = folder.with_suffix(".new")
                for old in (new, folder):
                    shutil.rmtree(old, ignore_errors=True)
                new.mkdir()
                content = json.dumps({**write(files, selection, new), "state": state})
                (new / "about.json").write_text(content)
                os.replace(new, folder)
            about = json.loads((folder / "about.json").read_text())
            return about, {path.stem: DiskArray(path) for path in sorted(folder.glob("*.npy"))}
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written: {error.strerror}; name another folder with --data.cache"
        ) from error


def write(files: Sequence[ParquetFiles], selection: ColumnSelection, folder: Path) -> dict[str, Any]:
    """Writes a table's arrays into an empty folder, in one pass over the train targets and one over all columns.

    Returns names, categories, target encoding and digest of the arrays, as plain values.
    """
    rows, schema = sum(one.rows for one in files), files[0].schema
    kinds = _kinds(files[0], selection)
    numbers = [name for name, (kind, _) in kinds.items() if kind != "categorical"]
    levels: dict[str, dict[str, int]] = {name: {} for name in kinds if name not in numbers}
    exact = all(isinstance(schema[name], SMALL) and kinds[name][0] == "numeric" for name in numbers)
    width = len(numbers) * (4 if exact else 8) + 4 * len(levels) + 8 * len(selection.target) + 8
    if width * rows > shutil.disk_usage(folder).free:
        raise DataError(
            f"{folder.parent} has too little room for {width * rows / 1e9:.1f} GB of converted rows; "
            "name a folder on another disk with --data.cache"
        )
    split, group = selection.split_column, selection.group
    target = learn_target_encoding(_train_targets(files[0], selection), selection.task)
    with ExitStack() as stack:

        def array(name: str, dtype: str, *shape: int) -> Callable[[NDArray[Any]], object]:
            return stack.enter_context(array_writer(folder / f"{name}.npy", dtype, (rows, *shape)))

        write_numbers = array("numbers", "<f4" if exact else "<f8", len(numbers))
        write_codes = array("codes", "<i4", len(levels)) if levels else None
        write_target = array("y", "<i8" if target.task != "regression" else "<f8", *target.shape)
        write_keys = array("keys", "<i8") if group or split else None
        has_val = False
        for frame, location in progress(_pieces(files, selection), "converting", rows, lambda piece: len(piece[0])):
            with _located(location):
                inputs = read_cells(frame, kinds)
                write_numbers(inputs.numbers[:].numpy())
                if write_codes is not None:
                    write_codes(table_codes(inputs, list(levels.values())).numpy())
                write_target(target.encode(frame.select(selection.target)).numpy())
                if write_keys is not None:
                    key = split_indices(frame[split]) if split else group_hashes(frame[str(group)])
                    has_val |= bool(split and (key == PARTS.index("val")).any())
                    write_keys(key)
    digests = {path.stem: DiskArray(path).digest() for path in sorted(folder.glob("*.npy")) if path.stem != "keys"}
    categories = {name: list(index_of) for name, index_of in levels.items()}
    content = json.dumps([numbers, categories, target.class_names, digests], sort_keys=True)
    return {
        "numbers": numbers,
        "levels": categories,
        "kinds": kinds,
        "labelling": asdict(target),
        "has_val": has_val,
        "digest": hashlib.sha256(content.encode()).hexdigest(),
    }


def _pieces(files: Sequence[ParquetFiles], selection: ColumnSelection) -> Iterator[Piece]:
    columns = [*selection.inputs, *selection.target, *filter(None, (selection.group, selection.split_column))]
    for one in files:
        yield from one.located_pieces(columns)


def _kinds(train: ParquetFiles, selection: ColumnSelection) -> Kinds:
    """Returns the types of the input columns; floats that are whole in all train rows are categories of integers."""
    types, split = {name: train.schema[name] for name in selection.inputs}, selection.split_column
    kinds = {name: (selection.types.get(name) or type_of(name, dtype), stored(dtype)) for name, dtype in types.items()}
    floats = [name for name, (kind, _) in kinds.items() if kind == "categorical" and types[name].is_float()]
    for frame, _ in train.located_pieces([*floats, *filter(None, [split])]) if floats else ():
        floats = [name for name in floats if is_whole(_train_rows(frame, split)[name].drop_nulls())]
    return {name: (kind, "Int64" if name in floats else dtype) for name, (kind, dtype) in kinds.items()}


def _train_targets(train: ParquetFiles, selection: ColumnSelection) -> Iterator[polars.DataFrame]:
    """Yields the target columns of rows that may be train rows."""
    split = selection.split_column
    for frame, location in train.located_pieces([*selection.target, *filter(None, [split])]):
        with _located(location):
            for column in frame.select(selection.target).iter_columns():
                check_cells(column)
                check_complete(column, "target")
                if column.dtype.is_float():
                    to_numbers(column)
        yield _train_rows(frame, split).select(selection.target)


def _train_rows(frame: polars.DataFrame, split_column: str | None) -> polars.DataFrame:
    """Returns the rows that the split column calls train, or all."""
    return frame.filter(frame[split_column].cast(polars.String) == "train") if split_column else frame


@contextmanager
def _located(location: str) -> Iterator[None]:
    """Prepends the file to the message of an error in some rows."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{location}: {error}") from error


def _is_current(folder: Path, state: list[list[int]]) -> bool:
    try:
        return bool(json.loads((folder / "about.json").read_text())["state"] == state)
    except (FileNotFoundError, ValueError, KeyError):  # a power cut may leave it empty
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel, however the process ends
        yield
