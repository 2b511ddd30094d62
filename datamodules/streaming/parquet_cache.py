"""Cache of Parquet tables as arrays on disk: rows of an array can be read without the others."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars

from datamodules.errors import DataError
from datamodules.progress import progress
from datamodules.splitting.splits import PARTS
from datamodules.streaming.npy_file import ArrayWriter, DiskArray
from datamodules.streaming.parquet_columns import (
    TargetEncoding,
    group_hashes,
    learn_target_encoding,
    split_indices,
    table_codes,
)
from datamodules.streaming.parquet_files import ParquetFiles, Piece
from datamodules.tables.casting import check_complete
from datamodules.tables.columns import ColumnType, read_columns, type_of
from datamodules.types import TaskName

SMALL = (polars.Float32, polars.Float16, polars.Int8, polars.UInt8, polars.Int16, polars.UInt16)
"""Data types whose values float32 represents exactly."""

FORMAT = 2
"""Version of the cache's files; a folder of another version is not used."""


@dataclass(frozen=True)
class ColumnSelection:
    """Columns of a table and their use.

    Args:
        inputs: Input columns, in the order of the file.
        target: Columns to predict.
        task: Task; inferred from the target by default.
        types: Column types that are not inferred from the data types.
        missing: Texts that stand for a missing value.
        group: Column whose equal values stay in one split.
        split_column: Column of the words train, val and test.
    """

    inputs: tuple[str, ...]
    target: tuple[str, ...]
    task: TaskName | None
    types: dict[str, ColumnType]
    missing: tuple[str, ...]
    group: str | None
    split_column: str | None

    def kinds(self, schema: polars.Schema) -> dict[str, ColumnType]:
        """Returns the type of each input column, in the order of the file."""
        return {name: self.types.get(name) or type_of(name, schema[name]) for name in self.inputs}


class CachedArrays:
    """A table as arrays: ``numbers`` (N, F), ``codes`` (N, C), ``y`` and ``keys`` (N,), each if there is any.

    Args:
        folder: Folder of the arrays.
    """

    def __init__(self, folder: Path) -> None:
        self.about: dict[str, Any] = json.loads((folder / "about.json").read_text())
        names = ("numbers", "codes", "y", "keys")
        self.arrays = {name: DiskArray(folder / f"{name}.npy") for name in names if (folder / f"{name}.npy").exists()}
        self.target = TargetEncoding(**self.about["labelling"])


def convert(files: Sequence[ParquetFiles], selection: ColumnSelection, cache: Path) -> CachedArrays:
    """Returns the arrays of a table's files, from the cache if these files were converted before.

    The next conversion clears the folder of a killed one; two processes with the same table wait for one another.

    Args:
        files: Files of train, and of val and test if they have files of their own, in this order.
        selection: Columns of the table.
        cache: Folder of all conversions.

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
                about = write(files, selection, new)
                (new / "about.json").write_text(json.dumps({**about, "state": state}))
                os.replace(new, folder)
            return CachedArrays(folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written: {error.strerror}; name another folder with --data.cache"
        ) from error


def write(files: Sequence[ParquetFiles], selection: ColumnSelection, folder: Path) -> dict[str, Any]:
    """Writes a table's arrays into a folder, in one pass over the targets and one over all columns.

    Args:
        files: Files of train, and of val and test if they have files of their own, in this order.
        selection: Columns of the table.
        folder: An empty folder.

    Returns:
        Names, categories, target encoding and digest of the arrays, as plain values.

    Raises:
        DataError: For columns that cannot be used, or a disk with too little room.
    """
    rows, schema = sum(one.rows for one in files), files[0].schema
    kinds = selection.kinds(schema)
    numbers = [name for name in selection.inputs if kinds[name] != "categorical"]
    levels: dict[str, dict[str, int]] = {name: {} for name in selection.inputs if kinds[name] == "categorical"}
    exact = all(isinstance(schema[name], SMALL) and kinds[name] == "numeric" for name in numbers)
    width = len(numbers) * (4 if exact else 8) + 4 * len(levels) + 8 * len(selection.target) + 8
    if width * rows > shutil.disk_usage(folder).free:
        raise DataError(
            f"{folder.parent} has too little room for {width * rows / 1e9:.1f} GB of converted rows; "
            "name a folder on another disk with --data.cache"
        )
    target = learn_target_encoding(_targets(files, selection), selection.task)
    split, group = selection.split_column, selection.group
    columns = [*selection.inputs, *selection.target, *(name for name in (group, split) if name is not None)]
    with ExitStack() as stack:

        def array(name: str, dtype: str, *shape: int) -> ArrayWriter:
            return stack.enter_context(ArrayWriter(folder / f"{name}.npy", dtype, (rows, *shape)))

        x = array("numbers", "<f4" if exact else "<f8", len(numbers))
        codes = array("codes", "<i4", len(levels)) if levels else None
        y = array("y", "<i8" if target.task != "regression" else "<f8", *target.shape)
        keys = array("keys", "<i8") if group or split else None
        has_val = False
        for piece in progress(_pieces(files, columns), "converting", rows, lambda piece: len(piece.frame)):
            with _located(piece):
                inputs = read_columns(piece.frame.select(selection.inputs), kinds)
                x.write(inputs.numbers[:].numpy())
                if codes is not None:
                    codes.write(table_codes(inputs, list(levels.values())).numpy())
                y.write(target.encode(piece.frame.select(selection.target)).numpy())
                if keys is not None:
                    key = split_indices(piece.frame[split]) if split else group_hashes(piece.frame[str(group)])
                    has_val |= bool(split and (key == PARTS.index("val")).any())
                    keys.write(key)
    digests = {path.stem: DiskArray(path).digest() for path in sorted(folder.glob("*.npy")) if path.stem != "keys"}
    categories = {name: list(index_of) for name, index_of in levels.items()}
    content = json.dumps([numbers, categories, target.class_names, digests], sort_keys=True)
    return {
        "numbers": numbers,
        "levels": categories,
        "labelling": asdict(target),
        "has_val": has_val,
        "digest": hashlib.sha256(content.encode()).hexdigest(),
    }


def _pieces(files: Sequence[ParquetFiles], columns: Sequence[str]) -> Iterator[Piece]:
    for one in files:
        yield from one.pieces(list(dict.fromkeys(columns)))


def _targets(files: Sequence[ParquetFiles], selection: ColumnSelection) -> Iterator[polars.DataFrame]:
    for piece in _pieces(files, selection.target):
        with _located(piece):
            for column in piece.frame.iter_columns():
                check_complete(column, "target")
        yield piece.frame


@contextmanager
def _located(piece: Piece) -> Iterator[None]:
    """Prepends the file to the message of an error in some rows."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{piece.location}: {error}") from error


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
