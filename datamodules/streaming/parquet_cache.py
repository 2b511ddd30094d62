"""A table in Parquet files made into arrays on disk, once: of an array any rows are read without the others."""

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
    Labelling,
    check_there,
    codes_of,
    groups_of,
    numbers_of,
    parts_of,
    read_labelling,
    side_by_side,
)
from datamodules.streaming.parquet_files import ParquetFiles, Piece
from datamodules.tables.columns import ColumnType
from datamodules.types import TaskName

SMALL = (polars.Float32, polars.Float16, polars.Int8, polars.UInt8, polars.Int16, polars.UInt16)
"""Numbers that float32 holds exactly."""


@dataclass(frozen=True)
class Wanted:
    """What is taken of a table.

    Args:
        inputs: Input columns, in the order of the file.
        target: Columns to predict.
        task: What is asked; what the target looks like where it is left out.
        types: What columns are, where it is not what they look like.
        missing: Texts that stand for a missing value.
        group: Column whose equal values stay in one part.
        split_column: Column that says train, val or test.
    """

    inputs: tuple[str, ...]
    target: tuple[str, ...]
    task: TaskName | None
    types: dict[str, ColumnType]
    missing: tuple[str, ...]
    group: str | None
    split_column: str | None


def write(files: Sequence[ParquetFiles], wanted: Wanted, folder: Path) -> dict[str, Any]:
    """Write a table's arrays into a folder, in one pass over the targets and one over all columns.

    Args:
        files: Those of train, and of val and test where they have files of their own, in this order.
        wanted: What is taken.
        folder: An empty one.

    Returns:
        What is known of the arrays besides, as plain values.

    Raises:
        DataError: For columns that cannot be used, or a disk with too little room.
    """
    rows = sum(sum(one.rows) for one in files)
    schema = files[0].schema
    kinds = types_of(wanted, files[0])
    numbers = [name for name in wanted.inputs if kinds[name] != "categorical"]
    levels: dict[str, dict[str, int]] = {name: {} for name in wanted.inputs if kinds[name] == "categorical"}
    exact = all(isinstance(schema[name], SMALL) and kinds[name] == "numeric" for name in numbers)
    width = len(numbers) * (4 if exact else 8) + 4 * len(levels) + 8 * len(wanted.target) + 8
    if width * rows > shutil.disk_usage(folder).free:
        raise DataError(
            f"{folder.parent} has too little room for {width * rows / 1e9:.1f} GB of converted rows; "
            "name a folder on another disk with --data.cache"
        )
    labelling = read_labelling(_targets(files, wanted), wanted.task)
    columns = [*wanted.inputs, *wanted.target, *(one for one in (wanted.group, wanted.split_column) if one is not None)]
    with ExitStack() as stack:

        def array(name: str, dtype: str, *shape: int) -> ArrayWriter:
            return stack.enter_context(ArrayWriter(folder / f"{name}.npy", dtype, (rows, *shape)))

        x = array("numbers", "<f4" if exact else "<f8", len(numbers))
        codes = array("codes", "<i4", len(levels)) if levels else None
        y = array("y", "<i8" if labelling.task != "regression" else "<f8", *labelling.shape)
        keys = array("keys", "<i8") if wanted.group or wanted.split_column else None
        has_val = False
        for piece in progress(_pieces(files, columns, wanted), "converting", rows, lambda piece: len(piece.frame)):
            with _located(piece):
                frame = piece.frame
                x.write(side_by_side([numbers_of(frame[name], kinds[name] == "date") for name in numbers], len(frame)))
                if codes is not None:
                    coded = [codes_of(frame[name], known) for name, known in levels.items()]
                    codes.write(side_by_side(coded, len(frame)))
                y.write(labelling.encode(frame.select(wanted.target)).numpy())
                if keys is not None:
                    split = wanted.split_column
                    key = parts_of(frame[split]) if split else groups_of(frame[str(wanted.group)])
                    has_val |= bool(split and (key == PARTS.index("val")).any())
                    keys.write(key)
    digests = {path.stem: DiskArray(path).digest() for path in sorted(folder.glob("*.npy")) if path.stem != "keys"}
    listed = {name: list(known) for name, known in levels.items()}
    told = json.dumps([numbers, listed, labelling.class_names, digests], sort_keys=True)
    return {
        "numbers": numbers,
        "levels": listed,
        "labelling": asdict(labelling),
        "has_val": has_val,
        "digest": hashlib.sha256(told.encode()).hexdigest(),
    }


def types_of(wanted: Wanted, files: ParquetFiles) -> dict[str, ColumnType]:
    """What each input column is, in the order of the file."""
    return {name: wanted.types.get(name) or _type(name, files.schema[name]) for name in wanted.inputs}


def _type(name: str, kind: polars.DataType) -> ColumnType:
    if kind.is_numeric():
        return "numeric"
    if kind.is_temporal():
        return "date"
    if isinstance(kind, polars.String | polars.Boolean | polars.Categorical | polars.Enum):
        return "categorical"
    raise DataError(f"column {name} holds {kind}, which is no cell of a table; drop it with --data.drop")


def _pieces(files: Sequence[ParquetFiles], columns: Sequence[str], wanted: Wanted) -> Iterator[Piece]:
    for one in files:
        yield from one.pieces(list(dict.fromkeys(columns)), wanted.missing)


def _targets(files: Sequence[ParquetFiles], wanted: Wanted) -> Iterator[polars.DataFrame]:
    """The target columns, a piece at a time."""
    for piece in _pieces(files, wanted.target, wanted):
        with _located(piece):
            for column in piece.frame.iter_columns():
                check_there(column, "target")
        yield piece.frame


@contextmanager
def _located(piece: Piece) -> Iterator[None]:
    """Say in which file a sentence about some rows is."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{piece.where}: {error}") from error


FORMAT = 1
"""Of what is in the cache; another one is made anew."""


class Converted:
    """A table as arrays: ``numbers`` (N, F), ``codes`` (N, C), ``y`` and ``keys`` (N,), each where there is any.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.about: dict[str, Any] = json.loads((folder / "about.json").read_text())
        names = ("numbers", "codes", "y", "keys")
        self.arrays = {name: DiskArray(folder / f"{name}.npy") for name in names if (folder / f"{name}.npy").exists()}
        self.labelling = Labelling(**self.about["labelling"])


def convert(files: Sequence[ParquetFiles], wanted: Wanted, cache: Path) -> Converted:
    """The arrays of a table's files, from the cache where they were made of these very files before.

    A conversion that was killed leaves a folder that the next one clears; two processes that want the same wait for one
    another.

    Args:
        files: Those of train, and of val and test where they have files of their own, in this order.
        wanted: What is taken.
        cache: Folder of all conversions.

    Raises:
        DataError: For columns that cannot be used, or a full disk.
    """
    paths = [str(path.absolute()) for one in files for path in one.paths]
    said = json.dumps([FORMAT, paths, [len(one.paths) for one in files], asdict(wanted)], sort_keys=True)
    folder = cache / hashlib.sha256(said.encode()).hexdigest()[:16]
    state = [[os.stat(path).st_size, os.stat(path).st_mtime_ns] for path in paths]
    try:
        with _alone(folder):
            if not _is_of(folder, state):
                made = folder.with_suffix(".new")
                for old in (made, folder):
                    shutil.rmtree(old, ignore_errors=True)
                made.mkdir()
                about = write(files, wanted, made)
                (made / "about.json").write_text(json.dumps({**about, "state": state}))
                os.replace(made, folder)
            return Converted(folder)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written: {error.strerror}; name another folder with --data.cache"
        ) from error


def _is_of(folder: Path, state: list[list[int]]) -> bool:
    try:
        return bool(json.loads((folder / "about.json").read_text())["state"] == state)
    except FileNotFoundError:
        return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of by the kernel, however the process ends
        yield
