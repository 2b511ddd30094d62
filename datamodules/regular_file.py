"""Refuses to open what is no regular file: a pipe waits for ever, a device never ends."""

import os
import stat
from pathlib import Path

from datamodules.class_folders import readable
from datamodules.errors import DataError

KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
KERNEL_DEVICES = {os.stat(folder).st_dev for folder in ("/proc", "/sys") if os.path.exists(folder)}
KERNEL_DEVICES -= {os.stat("/").st_dev}  # where a system without them has plain folders of that name


def check_regular(path: str | Path) -> None:
    """Raises ``DataError`` for pipes, devices, sockets and files that the kernel makes up, such as ``/proc/self/mem``.

    A path that does not exist or cannot be looked at passes, as does a folder: opening it gives the system's reason.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return
    is_kernels = os.path.realpath(path).startswith(("/proc/", "/sys/")) or found.st_dev in KERNEL_DEVICES
    if not stat.S_ISDIR(found.st_mode) and (is_kernels or not stat.S_ISREG(found.st_mode)):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "made up by the kernel")
        name = readable(str(path))
        raise DataError(f"{name} is {kind}, and only regular files are read; copy its content to a file")


def read_regular(path: str | Path, advice: str) -> bytes:
    """Returns a file's bytes; raises ``DataError`` with some advice if it is no regular file or cannot be read."""
    check_regular(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{readable(str(path))} cannot be read: {error.strerror}; {advice}") from error
