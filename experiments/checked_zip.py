"""Zip archives of which every entry is checked by its position, ahead of any reader that looks members up by name.

Of two entries with one name ``zipfile`` reads the last, and torch's reader, which ignores case, finds any of them by
bisection. A check by name therefore checks another member than the one that is loaded.
"""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from datamodules.regular_file import check_regular

MEMBER = re.compile(r"[^/\\]+(/[^/\\]+)+")
"""A folder and at least one name: relative, without empty components."""


def entries(archive: zipfile.ZipFile, size: int) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """Every entry with its content, in the archive's order, its checksum verified.

    Args:
        archive: The archive.
        size: Bytes of its file. Members are stored without compression, so that all of them together are no larger.

    Raises:
        zipfile.BadZipFile: For a damaged entry, a repeated name, a name outside the archive's one folder, a compressed
            or encrypted entry, or entries that overlap.
    """
    found: set[str] = set()
    folders: set[str] = set()
    left = size
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
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or left < 0:
            raise zipfile.BadZipFile(f"its member {name[:80]!r} is not stored as torch stores it")
        with archive.open(entry) as member:  # by position; compares the name with the one ahead of the content
            content = member.read(entry.file_size + 1)
        if len(content) != entry.file_size:
            raise zipfile.BadZipFile(f"its member {name[:80]!r} is cut off")
        yield entry, content


def check(path: Path) -> None:
    """Read every entry of an archive once.

    Raises:
        OSError: For a file that cannot be opened.
        DataError: For anything but a regular file.
        zipfile.BadZipFile: As ``entries`` does.
    """
    check_regular(path)
    with zipfile.ZipFile(path) as archive:
        for _ in entries(archive, path.stat().st_size):
            pass


def rewritten(path: Path, folder: str, accept: Callable[[str, bytes], bytes]) -> io.BytesIO:
    """A new archive in memory, of the members of another.

    Args:
        path: The archive.
        folder: The new archive's one folder.
        accept: Gets a member's name without its folder and its content, raises for one that is refused, and returns
            the content to write.

    Raises:
        OSError: For a file that cannot be opened.
        DataError: For anything but a regular file.
        zipfile.BadZipFile: As ``entries`` does.
    """
    check_regular(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for entry, content in entries(old, path.stat().st_size):
            name = entry.filename.partition("/")[2]
            new.writestr(f"{folder}/{name}", accept(name, content))
    buffer.seek(0)
    return buffer
