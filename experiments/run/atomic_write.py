"""The one writer of a run's files: a kill or a full disk leaves the file before, never half of one."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes | memoryview, check: Callable[[Path], object] | None = None) -> None:
    """Writes a temporary file beside ``path``, flushes it to the disk and renames it.

    Args:
        path: Of the file, whose folder is made.
        content: Of the file.
        check: Reads the temporary file, and raises an error if it must not replace the file.

    Raises:
        OSError: If it cannot be written, as on a full disk; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
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


def _sync_folder(folder: Path) -> None:
    """Flushes the rename to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
