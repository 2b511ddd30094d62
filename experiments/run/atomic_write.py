"""The one writer of a run's files: a kill or a full disk leaves the file before, never half of one."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes | memoryview, check: Callable[[Path], object] | None = None) -> None:
    """Writes a temporary file beside ``path``, whose folder is made, flushes it to the disk and renames it.

    ``check`` reads the temporary file, and raises an error if it must not replace the file. After an error, as the
    OSError of a full disk, ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with errors_naming(path), open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # a read-only folder keeps it; the next write replaces it
            temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes plain values as ``write_atomically`` does."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Adds a path to each OSError without one: a write to a full disk names no file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder that is renamed to ``path`` if no error is raised.

    It yields ``path`` itself where no folder can take its place: files are in it, or it is a link or a mounted disk.
    """
    if path.is_symlink() or path.is_mount() or (path.is_dir() and any(path.iterdir())):
        yield path
        return
    temporary = path.with_name(f".{path.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Flushes a rename to the disk where that is possible; a power cut leaves the old file or the new one, whole."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
