"""A user's table."""

from typing import Any

import polars

from datamodules.remote_files import local_files
from datamodules.splitting.split_files import read_files
from datamodules.tables.frame_data import FrameData
from datamodules.tables.input_columns import inputs_among
from datamodules.tables.read_table import MISSING
from datamodules.tables.table_source import Table
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
        path, val_path, test_path = local_files(path, val_path, test_path)
        self.missing = missing
        targets = [target] if isinstance(target, str) else target
        tables: list[Table] = []
        frames: list[polars.DataFrame] = []

        def read(file: str) -> polars.DataFrame:
            tables.append(Table(file, missing))
            if not frames:
                frames.append(tables[0].frame())
                return frames[0]
            options = (targets, self.drop, self.types, self.split_settings, self.id_column)
            used = {*inputs_among(frames[0].columns, *options), *targets}
            frames.append(tables[-1].frame_like(frames[0], used, self.types, self.id_column))
            return frames[-1]

        files = read_files(read, path, val_path, test_path)
        self.notes = tuple(note for table in tables for note in table.notes)
        self.take(files.frame, targets, task, files.val, files.test, tables[0].location, frames[0], tables[0].is_text)
        used = {*self.columns.number_names, *self.split_settings.columns}
        self.notes += tuple(note for name, note in tables[0].day_first.items() if name in used)
