"""A user's series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars

from datamodules.errors import DataError
from datamodules.regular_file import read_regular
from datamodules.remote_files import local_files
from datamodules.sequences import array_file, ts_format
from datamodules.sequences.long_form import from_long
from datamodules.sequences.padded_series import Series, join
from datamodules.sequences.sequence_data import SequenceData
from datamodules.splitting.split_files import read_files
from datamodules.tables import read_table
from datamodules.tables.columns import number_note
from datamodules.tables.targets import class_task
from datamodules.types import TaskName


class SeriesData(SequenceData):
    """Series in a file: ``.npz``, ``.ts``, or CSV or Parquet in long form.

    - ``.npz``: ``x`` (N, C, T) or (N, T), NaN where missing; ``y`` (N,) or (N, L); ``lengths`` (N,) where they differ,
      or NaN behind a series' end; any other array (N,) is a column for ``group``, ``time`` or ``split_column``.
    - ``.ts``, the format of the UCR and UEA archives, without time stamps.
    - CSV or Parquet with a row for each step. Channels are its columns of numbers that no option names. Targets and
      columns of the split are constant within a series.

    Args:
        path: Path of the file.
        val_path: File of the validation split; by default taken from the train series.
        test_path: File of the test split, such as NAME_TEST.ts; ``path`` is then that of train.
        target: Column to predict, or several: labels of 0 and 1, or numbers. By default ``y`` in ``.npz``; ``.ts`` has
            its own.
        id: Column, in long form, of the series' ids.
        step: Column, in long form, by which the steps of a series are ordered: numbers, dates or times.
        drop: Column or columns, in long form, that are no channels.
        task: Task. By default, two values are binary, text and up to 20 whole numbers multiclass,
            other numbers regression; several columns multilabel if all are 0 and 1, else regression.
        kwargs: Options of all series, see ``SequenceData``.

    Raises:
        DataError: For a file, columns or options that cannot be used.
    """

    def __init__(
        self,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        target: list[str] | str | None = None,
        id: str | None = None,
        step: str | None = None,
        drop: list[str] | str | None = None,
        task: TaskName | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        path, val_path, test_path = local_files(path, val_path, test_path)
        self.target, self.drop = _listed(target), _listed(drop)
        self.id, self.step = id, step
        parts: list[Series] = []

        def read(path: str) -> polars.DataFrame:
            parts.append(self._read(path))
            return parts[-1].targets

        files = read_files(read, path, val_path, test_path)
        names = [file for file in (path, val_path, test_path) if file is not None]
        series = parts[0] if len(parts) == 1 else join(parts, names)
        by_header = class_task(files.frame.to_series().n_unique()) if _is_ts(path) else None  # whatever the labels are
        task = task or series.task or by_header
        self.take(replace(series, targets=files.frame, task=task), files.val, files.test)

    def _read(self, path: str) -> Series:
        content = read_regular(path, "name a .npz, .ts, CSV or Parquet file")
        is_ts = _is_ts(path)
        if is_ts or content[:2] == b"PK" or path.lower().endswith(".npz"):
            options = {"id": self.id, "step": self.step, "drop": self.drop, "target": self.target if is_ts else []}
            if unfit := [option for option, names in options.items() if names]:
                raise DataError(
                    f"--data.{unfit[0]} names a column of a file in long form, and {path} has none; leave it out"
                )
            return ts_format.parse(content, path) if is_ts else array_file.parse(content, path, self.target)
        if not self.target or self.id is None or self.step is None:
            lacking = next(option for option in ("target", "id", "step") if not getattr(self, option))
            raise DataError(f"--data.{lacking} is missing: it names a column of {path}, which is in long form")
        split_columns = self.split_settings.columns
        frame, notes = read_table.parse_noted(content, path, {self.step, *split_columns})
        series, unused = from_long(frame, path, self.id, self.step, self.target, self.drop, split_columns)
        if unused:
            notes.append(f"no numbers, and therefore no channels: {', '.join(unused)} of {path}")
        looks = [number_note(frame[column]) for column in unused if frame[column].dtype == polars.String]
        self.notes = (*self.notes, *notes, *filter(None, looks))
        return series


def _is_ts(path: str) -> bool:
    return path.lower().endswith(".ts")


def _listed(names: Sequence[str] | str | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or [])
