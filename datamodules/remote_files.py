"""Data at a URL: copied into the cache folder once a version, and read from there like local files.

fsspec reads https, s3 and gs. Credentials are those that its file systems find in the environment, such as
``AWS_ACCESS_KEY_ID`` or ``GOOGLE_APPLICATION_CREDENTIALS``; a URL that has some is refused, since a run records it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from datamodules.cache import cache_folder
from datamodules.errors import DataError

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

PROTOCOLS = ("http", "https", "s3", "gs", "gcs")

SECRET = re.compile(r"(?i)sign|^sig$|token|secret|password|passwd|^pwd$|credential|^auth|^key$|api_?key|accesskey")
"""Names of a query's values that are credentials, as in the signed URLs of S3, Google and Azure."""

VERSIONS = ("ETag", "etag", "Last-Modified", "LastModified", "md5Hash", "generation", "Content-MD5")
"""Entries of a file's information that change with its content."""


def is_url(path: object) -> bool:
    """Returns True for a text that begins with a protocol."""
    return isinstance(path, str) and bool(URL.match(path))


def local_files(
    path: str, val_path: str | None = None, test_path: str | None = None
) -> tuple[str, str | None, str | None]:
    """Returns the paths of a data set, each URL as that of its local copy, see ``local_file``."""
    others = [file if file is None else local_file(file) for file in (val_path, test_path)]
    return local_file(path), others[0], others[1]


def local_file(path: str) -> str:
    """Returns the path of the local copy of a file or a folder at a URL; other paths as they are.

    A copy is used again while the file's size and its ETag, or another mark of its version, stay. A file without such
    a mark is copied each time.

    Raises:
        DataError: For a URL with credentials or of another protocol, and for what cannot be read.
    """
    if not is_url(path):
        return path
    _check(path)
    protocol = path.partition(":")[0].lower()
    try:
        from fsspec.core import url_to_fs  # torch and Lightning require it

        system, inside = url_to_fs(path)
        files = _files(system, inside, path)
        name = PurePosixPath(urlsplit(path).path).name or urlsplit(path).netloc
        versions = [(file, info.get("size"), *map(info.get, VERSIONS)) for file, info in files.items()]
        is_marked = all(any(version[2:]) for version in versions)
        key = hashlib.sha256(repr((path, sorted(map(str, versions)))).encode()).hexdigest()[:32]
        copy = cache_folder() / "remote" / key / name
        if not (is_marked and copy.exists()):
            _fetch(system, files, copy)
    except DataError:
        raise
    except ImportError as error:
        raise DataError(f"{protocol}:// needs another package: {error}; pip install '.[remote]' here") from error
    except Exception as error:  # each file system raises errors of its own
        if isinstance(error, FileNotFoundError) and not isinstance(error.__cause__, OSError):
            raise DataError(f"there is no {path}, or it may not be read") from error
        cause = error.__cause__ or error  # that there is no connection
        reason = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise DataError(
            f"{path} cannot be read: {reason}; check the address, the network and the credentials in the environment"
        ) from error
    return str(copy)


def _check(path: str) -> None:
    """Raises ``DataError`` for a URL that is not read; its message has no credentials."""
    parts = urlsplit(path)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if SECRET.search(name)]
    if "@" in parts.netloc or names:
        what = f"a signature or key ({names[0]})" if names else "a user or password"
        raise DataError(
            f"the URL {where} has {what}, which the record of a run would keep; leave it out and give credentials in "
            "the environment, or download the file"
        )
    if parts.scheme.lower() not in PROTOCOLS:
        raise DataError(f"{where} is of the protocol {parts.scheme}; https, s3 and gs are read, or name a local file")
    if "*" in parts.path:
        raise DataError(f"{where} is a pattern, which is not expanded in a URL; name a file or a folder")


def _files(system: Any, inside: str, path: str) -> dict[str, Mapping[str, Any]]:
    """Returns the information of a file, under an empty name, or of all files of a folder by their names in it."""
    info = system.info(inside)
    if info.get("type") != "directory":
        return {"": {**info, "name": inside}}
    root = inside.rstrip("/")
    found = {name.removeprefix(root).lstrip("/"): each for name, each in system.find(root, detail=True).items()}
    found = {name: each for name, each in found.items() if name and not name.endswith("/")}
    if not found or any(".." in PurePosixPath(name).parts or name.startswith("/") for name in found):
        raise DataError(f"{path} is a folder without files that can be copied; name another one")
    return found


def _fetch(system: Any, files: Mapping[str, Mapping[str, Any]], copy: Path) -> None:
    """Copies files to a new folder beside the place of the copy, which replaces it as a whole."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=copy.parent))
    try:
        for name, info in files.items():
            target = folder / "copy" / name if name else folder / "copy"
            target.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(info["name"], str(target))
        try:
            os.replace(folder / "copy", copy)
        except OSError:
            if not copy.is_dir():  # which another process has made
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
