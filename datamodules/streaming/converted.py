"""A table in Parquet files made into arrays on disk, once: of an array any rows are read without the others."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.streaming.converting import Wanted, write
from datamodules.streaming.disk import DiskArray
from datamodules.streaming.labels import Labelling
from datamodules.streaming.parquet import ParquetFiles

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
