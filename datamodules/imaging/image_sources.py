"""Sources of images and labels: a folder per class, an index file, or arrays."""

from pathlib import Path
from typing import NamedTuple

import polars
from polars import selectors

from datamodules.class_folders import LABEL, read_class_folders
from datamodules.errors import DataError, check_names
from datamodules.imaging.image_arrays import read_arrays
from datamodules.imaging.read_images import Images
from datamodules.tables.read_table import read_frame

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")


class Source(NamedTuple):
    """Images and their columns.

    Args:
        frame: Columns of an index file; path and label of other sources.
        images: Image of each row.
        target: Columns to predict.
        classes: Whether the targets are classes even if they are many whole numbers.
        note: Note for the run; empty if there is none.
    """

    frame: polars.DataFrame
    images: Images
    target: list[str]
    classes: bool = False
    note: str = ""


def read_source(path: str, target: list[str], image_column: str) -> Source:
    """Reads the source at a path.

    Args:
        path: A folder with a folder per class, an index file (CSV or Parquet), or arrays (.npz, .npy, IDX).
        target: Columns of an index file; none for other sources.
        image_column: Column of an index file with the images' paths.

    Raises:
        DataError: For another path, or targets that the source does not have.
    """
    source = Path(path)
    if source.is_file() and source.suffix.lower() in TABLES:
        return _index(source, target, image_column)
    if not source.exists():
        raise DataError(f"there is no {path}; --data.path names a folder, an index file or a file of arrays")
    if target:
        raise DataError(f"--data.target names columns of an index file, and {path} is none; leave it out")
    if not source.is_dir():
        return _arrays(source)
    files, frame, note = read_class_folders(source)
    return Source(frame, files, [LABEL], note=note)


def _index(path: Path, target: list[str], image_column: str) -> Source:
    frame = read_frame(str(path))
    if not target:
        raise DataError(f"--data.target is missing: which column of {path} is to be predicted?")
    check_names("image_column", [image_column], frame.columns)
    check_names("target", target, frame.columns)
    if len(set(target)) < len(target) or image_column in target:
        raise DataError("--data.target names one or more different columns that serve nothing else")
    column = frame[image_column]
    if column.dtype != polars.String or column.null_count():
        raise DataError(
            f"column {image_column} of {path} is to have the path of an image in each row, and has "
            f"{column.null_count():,} missing values and type {column.dtype}; choose another --data.image_column"
        )
    return Source(frame, [path.parent / name for name in column], target)


def _arrays(path: Path) -> Source:
    images, labels = read_arrays(path)
    columns = (
        {LABEL: labels} if labels.ndim == 1 else {f"{LABEL}_{index}": column for index, column in enumerate(labels.T)}
    )
    frame = polars.DataFrame(columns).with_columns(selectors.float().fill_nan(None))
    return Source(frame, images, list(columns), classes=labels.ndim == 1 and labels.dtype.kind in "iu")
