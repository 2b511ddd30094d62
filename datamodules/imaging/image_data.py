"""A person's own images."""

from typing import Any

import polars

from datamodules.errors import DataError
from datamodules.imaging.decoding import Channels
from datamodules.imaging.image_sources import Source, read_source
from datamodules.imaging.pixel_data import PixelData
from datamodules.imaging.read_images import range_note, read_images
from datamodules.splitting.split_files import read_files
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
        if size is not None and min(size) < 1:
            raise DataError(f"--data.size is height and width in pixels, at least 1, and it is {list(size)}")
        sources: list[Source] = []

        def read(path: str) -> polars.DataFrame:
            columns = [target] if isinstance(target, str) else target or []
            sources.append(read_source(path, columns, image_column))
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
        self.notes = tuple(note for note in (*(source.note for source in sources), dark) if note)
        self.resize, self.image_column, self.target_names = size is not None, image_column, tuple(sources[0].target)
        self.take(images, encoded, files.val, files.test, files.frame.drop(sources[0].target))
