"""A person's own images: a folder per class, an index file, or arrays."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import polars
from polars import selectors

from datamodules.class_folders import LABEL, read_class_folders
from datamodules.errors import DataError, check_names
from datamodules.imaging.decoding import Channels
from datamodules.imaging.image_arrays import read_arrays
from datamodules.imaging.inputs import TABLES
from datamodules.imaging.pixel_data import PixelData
from datamodules.imaging.read_images import Images, frames_note, range_note, read_images
from datamodules.remote_files import local_files
from datamodules.splitting.split_files import read_files
from datamodules.tables.read_table import parse_noted
from datamodules.tables.targets import class_task, read_target
from datamodules.types import TaskName


class ImageData(PixelData):
    """Images in folders, named by an index file, or in arrays; decoded once, by pillow, into bytes in memory.

    A folder has one folder for each class. An index file, CSV or Parquet, has a column of paths, relative to the file,
    and one or more of targets; the others are there for the split. Arrays are an .npz file with ``x`` (or ``images``)
    and ``y`` (or ``labels``), or an .npy or IDX file, gzip or not, with one of labels beside it that is called the same
    but for ``labels`` instead of ``images`` or ``y`` instead of ``x``; images are (N, H, W), (N, H, W, C) or
    (N, C, H, W), bytes or floating-point numbers in [0, 1].

    The EXIF orientation is heeded, transparent pixels lie on white, 16 bits become the upper 8.

    Args:
        path: The folder, the index file, or the file of arrays.
        val_path: The same of the validation part; dealt out of the train rows where only the test part has its own.
        test_path: The same of the test part; ``path`` is then that of train.
        target: Column or columns of the index file to predict.
        image_column: The column of the index file that has the paths.
        task: Task. By default, folders and whole numbers in an array of labels are classes, and other targets are
            inferred as by ``TableData``.
        size: Height and width to resize to, linearly and without keeping the proportions; by default
            the images' own.
        channels: 1 for grey or 3 for colour; grey where the first 100 images are.
        kwargs: Options of all images, see ``PixelData``.

    Raises:
        DataError: For files or options that cannot be used.
    """

    def __init__(
        self,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        target: list[str] | str | None = None,
        image_column: str = "path",
        task: TaskName | None = None,
        size: tuple[int, int] | None = None,
        channels: Channels | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        path, val_path, test_path = local_files(path, val_path, test_path)
        if size is not None and min(size) < 1:
            raise DataError(f"--data.size is height and width in pixels, at least 1, and it is {list(size)}")
        sources: list[Source] = []

        def read(path: str) -> polars.DataFrame:
            columns = [target] if isinstance(target, str) else target or []
            sources.append(_read(path, columns, image_column, self.split_settings.columns))
            return sources[-1].frame

        files = read_files(read, path, val_path, test_path)
        targets = files.frame.select(sources[0].target)
        if task is None and sources[0].classes:
            task = class_task(targets.to_series().n_unique())
        encoded = read_target(targets, task)
        images = read_images([source.images for source in sources], channels, size)
        dark = range_note(sources[0].images, images.numpy())
        if dark and not images.any():
            raise DataError(f"all images of {path} become black: {dark}")
        notes = (
            *(note for source in sources for note in source.notes),
            dark,
            *(frames_note(source.images) for source in sources),
        )
        self.notes = tuple(note for note in notes if note)
        self.resize, self.image_column, self.target_names = size is not None, image_column, tuple(sources[0].target)
        self.take(images, encoded, files.val, files.test, files.frame.drop(sources[0].target))
        self.folders = self.class_names if Path(path).is_dir() else ()


class Source(NamedTuple):
    """Images and their columns."""

    frame: polars.DataFrame  # columns of an index file; path and label of other sources
    images: Images
    target: list[str]
    classes: bool = False  # whether the targets are classes even if they are many whole numbers
    notes: tuple[str, ...] = ()


def _read(path: str, target: list[str], image_column: str, used: Collection[str]) -> Source:
    source = Path(path)
    if source.is_file() and source.suffix.lower() in TABLES:
        return _index(source, target, image_column, used)
    if not source.exists():
        raise DataError(f"there is no {path}; --data.path names a folder, an index file or a file of arrays")
    if target:
        raise DataError(f"--data.target names columns of an index file, and {path} is none; leave it out")
    if source.is_dir():
        files, frame, note = read_class_folders(source)
        return Source(frame, files, [LABEL], notes=(note,))
    images, labels = read_arrays(source)
    columns = {LABEL: labels} if labels.ndim == 1 else {f"{LABEL}_{index}": y for index, y in enumerate(labels.T)}
    frame = polars.DataFrame(columns).with_columns(selectors.float().fill_nan(None))
    return Source(frame, images, list(columns), classes=labels.ndim == 1 and labels.dtype.kind in "iu")


def _index(path: Path, target: list[str], image_column: str, used: Collection[str]) -> Source:
    frame, notes = parse_noted(str(path), str(path), used)
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
    return Source(frame, [path.parent / name for name in column], target, notes=tuple(notes))
