"""Files of a folder, and of a folder with one folder for each class."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

import polars

from datamodules.errors import DataError

LABEL = "label"  # column of the classes

IGNORED = ("thumbs.db", "desktop.ini", "__macosx", "_temporary")
"""Files and folders that systems add to data; hidden ones begin with a dot."""

TRAIN, OTHERS = ("train", "training"), ("val", "valid", "validation", "dev", "test", "testing")
"""Names of folders that hold a split."""


def walk(folder: Path, ignored: list[str], ending: str = "") -> Iterator[Path]:
    """Yields the files below a folder in an order that never changes, through symbolic links.

    ``ignored`` gets the paths that are left out: hidden ones, those of the system, folders linked within themselves,
    and files with another ending, of which any case is read. Raises ``DataError`` for a folder that cannot be read.
    """

    seen: set[str] = set()
    for current, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        here = Path(current)
        if (real := os.path.realpath(here)) in seen:  # two links lead to it
            ignored.append(current)
            folders.clear()
            continue
        seen.add(real)
        kept = [name for name in sorted(folders) if not _is_ignored(name) and not _is_loop(here / name)]
        files = [name for name in sorted(names) if not _is_ignored(name) and name.lower().endswith(ending)]
        ignored += [str(here / name) for name in sorted({*folders, *names} - {*kept, *files})]
        folders[:] = kept
        yield from (here / name for name in files)


def files_below(folder: Path, ending: str, classes: Collection[str] | None) -> tuple[list[Path], str]:
    """Returns the files that ``walk`` yields, and a note on what is left out, or "".

    Files beside folders with files are left out if one of these folders is called like a class, or if None is given.
    """
    ignored: list[str] = []
    files = list(walk(folder, ignored, ending))
    inside = [file for file in files if file.parent != folder]
    if classes is None or any(file.relative_to(folder).parts[0] in classes for file in inside):
        ignored += [str(file) for file in files if file.parent == folder]
        files = inside
    return files, left_out(ignored, folder)


def read_class_folders(root: Path, ending: str = "") -> tuple[list[Path], polars.DataFrame, str]:
    """Lists the files of a folder with one folder for each class, none beside these folders, their ending in any case.

    Returns the files; the columns ``path`` below the root and ``label``; and a note on what was left out, or "". Raises
    ``DataError`` for a folder without classes, or with splits in place of classes; and for a class without a file.
    """
    files, note = files_below(root, ending, None)
    entries = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not _is_ignored(entry.name)]
    folders = [entry for entry in entries if not _is_loop(entry)]
    names = {folder.name.lower() for folder in folders}
    if names.intersection(TRAIN) and names.intersection(OTHERS):
        raise DataError(
            f"the folders {', '.join(folder.name for folder in folders[:5])} of {root} look like splits, not classes; "
            "name each with --data.path, --data.val_path and --data.test_path, or rename them if they are classes"
        )
    if not folders:
        raise DataError(f"{root} has no folders, and is to have one for each class; or name a file")
    labels = [file.relative_to(root).parts[0] for file in files]
    classes = {*labels}
    for folder in folders:
        if readable(folder.name) != folder.name:
            raise DataError(f"the class folder {readable(str(folder))} has a name that is not UTF-8; rename it")
        if folder.name not in classes:
            raise DataError(
                f"the class folder {folder} has no {f'{ending} file'.strip()} of its own; remove it or add files"
            )
    return files, polars.DataFrame({"path": names_below(files, root), LABEL: labels}), note


def names_below(files: list[Path], root: Path) -> list[str]:
    """Returns the files' readable paths below a folder."""
    return [readable(str(file.relative_to(root))) for file in files]


def readable(name: str) -> str:
    r"""Returns a file's name with ``\xe9`` for a byte that is not UTF-8, which no table can hold."""
    return os.fsencode(name).decode(errors="backslashreplace")


def left_out(ignored: list[str], root: Path) -> str:
    """Returns a note on the files and folders that were left out; "" if there are none."""
    some = ", ".join(names_below([Path(path) for path in ignored[:3]], root))
    more = " ..." * (len(ignored) > 3)
    return f"not read in {root}: {len(ignored):,} hidden or other files or folders: {some}{more}" if ignored else ""


def _fail(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}; correct its permissions") from error


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in IGNORED


def _is_loop(folder: Path) -> bool:
    """Returns True if a symbolic link leads to a folder that it is in."""
    target = folder.resolve()
    return folder.is_symlink() and any(above.resolve().is_relative_to(target) for above in folder.parents)
