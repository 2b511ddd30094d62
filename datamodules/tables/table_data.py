"""A user's table."""

from functools import partial
from typing import Any

from datamodules.splitting.split_files import read_files
from datamodules.tables.frame_data import FrameData
from datamodules.tables.read_table import MISSING, read_frame
from datamodules.types import TaskName


class TableData(FrameData):
    """Table in a CSV or Parquet file with a row for each example.

    Args:
        path: Path of the file: Parquet, or CSV in UTF-8 with a header.
        val_path: File of the validation split; by default taken from the train rows.
        test_path: File of the test split; ``path`` is then that of train.
        target: Column to predict, or several: labels of 0 and 1, or numbers.
        task: Task. By default, two values are binary, text and up to 20 whole numbers multiclass,
            other numbers regression; several columns multilabel if all are 0 and 1, else regression.
        missing: Texts that stand for a missing value.
        kwargs: Options of every table, see ``FrameData``.

    Raises:
        DataError: For a file, columns or options that cannot be used.
    """

    def __init__(
        self,
        path: str,
        target: list[str] | str,
        val_path: str | None = None,
        test_path: str | None = None,
        task: TaskName | None = None,
        missing: list[str] = list(MISSING),  # noqa: B006, it is only read
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.missing = missing
        files = read_files(partial(read_frame, missing=missing), path, val_path, test_path)
        self.take(files.frame, [target] if isinstance(target, str) else target, task, files.val, files.test)
