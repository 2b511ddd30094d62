"""Checks every entry of a zip archive by position, before torch looks members up by name.

If two entries have the same name, ``zipfile`` reads the last. torch's reader ignores case and finds any of them by
bisection. A check by name could therefore check another member than torch loads.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from datamodules.regular_file import check_regular

MEMBER = re.compile(r"[^/\\]+(/[^/\\]+)+")
"""Member name: a folder and at least one component, relative, without empty components."""

PIECE = 1 << 20
"""Bytes of a member that are in memory at a time."""


def entries(archive: zipfile.ZipFile, size: int) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
    """Yields every entry of an archive of ``size`` bytes with its open member, which ``pieces`` verifies.

    Raises:
        zipfile.BadZipFile: If an entry is damaged, repeated, outside of the folder, compressed or encrypted.
    """
    found: set[str] = set()
    folders: set[str] = set()
    left = size  # the limit of all members together: they are not compressed
    for entry in archive.infolist():
        name = entry.filename
        if not name.isprintable() or not MEMBER.fullmatch(name) or {".", ".."} & {*name.split("/")}:
            raise zipfile.BadZipFile(f"it holds the member {name[:80]!r}, which is outside of its folder")
        folders.add(name.partition("/")[0])
        if name.casefold() in found or len(folders) > 1:
            raise zipfile.BadZipFile(
                f"it holds {name[:80]!r} twice" if name.casefold() in found else "it has two folders"
            )
        found.add(name.casefold())
        left -= entry.file_size
        packed = entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size
        if packed or entry.flag_bits & 1 or left < 0:
            raise zipfile.BadZipFile(f"its member {name[:80]!r} is not stored as torch stores it")
        with archive.open(entry) as member:  # by position; zipfile compares the name with the local header
            yield entry, member


def pieces(member: IO[bytes]) -> Iterator[bytes]:
    """Yields the content of a member; raises ``zipfile.BadZipFile`` if it is cut off or has another checksum."""
    try:
        yield from iter(partial(member.read, PIECE), b"")
    except EOFError as error:
        raise zipfile.BadZipFile(f"its member {member.name[:80]!r} is cut off") from error


def check(path: Path) -> None:
    """Reads every entry of an archive once.

    Raises:
        OSError: If the file cannot be opened.
        DataError: If it is no regular file.
        zipfile.BadZipFile: As ``entries`` does.
    """
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        for _, member in entries(archive, path.stat().st_size):
            for _ in pieces(member):
                pass


def rewritten(path: Path, folder: str, accept: Callable[[str, IO[bytes]], Iterable[bytes]]) -> io.BytesIO:
    """Copies an archive into a new one in memory, below ``folder``, with the contents that ``accept`` returns.

    ``accept`` gets the name of a member without its folder and the open member, and raises if it refuses them.

    Raises:
        OSError: If the file cannot be opened.
        DataError: If it is no regular file.
        zipfile.BadZipFile: As ``entries`` does.
    """
    check_regular(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for entry, member in entries(old, path.stat().st_size):
            name = entry.filename.partition("/")[2]
            copied = zipfile.ZipInfo(f"{folder}/{name}")
            copied.file_size = entry.file_size  # from 2 GiB on zipfile has to know it
            with new.open(copied, "w") as file:
                file.writelines(accept(name, member))
    buffer.seek(0)
    return buffer
