"""A user's texts."""

from pathlib import Path
from typing import Any

import polars

from datamodules.class_folders import LABEL
from datamodules.errors import DataError
from datamodules.remote_files import local_files
from datamodules.splitting.split_files import read_files
from datamodules.tables.read_table import MISSING, parse_noted
from datamodules.texts.labelled_texts import LabelledTexts
from datamodules.texts.read_texts import ENDING, TEXT, as_written, read_text_folder
from datamodules.types import TaskName


class TextData(LabelledTexts):
    """Texts in a column of a CSV or Parquet file, or in a folder for each class with a .txt file for each text.

    Args:
        path: Path of the file: Parquet, or CSV in UTF-8 with a header; or of the folder with the classes' folders.
        text: Column of the texts, or several that are joined by `` | ``; none for folders.
        target: Column to predict, or several: labels of 0 and 1, or numbers; none for folders.
        val_path: File or folder of the validation split; by default taken from the train rows.
        test_path: File or folder of the test split; ``path`` is then that of train.
        task: Task. By default, two values are binary, text and up to 20 whole numbers multiclass,
            other numbers regression; several columns multilabel if all are 0 and 1, else regression.
        missing: Texts in a file that stand for a missing value.
        kwargs: Options of all texts, see ``LabelledTexts``.

    Raises:
        DataError: For files, columns or options that cannot be used.
    """

    def __init__(
        self,
        path: str,
        text: list[str] | str | None = None,
        target: list[str] | str | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        task: TaskName | None = None,
        missing: list[str] = list(MISSING),  # noqa: B006, it is only read
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        path, val_path, test_path = local_files(path, val_path, test_path)
        folders = Path(path).is_dir()
        for other in (val_path, test_path):
            if other is not None and Path(other).is_dir() != folders:
                raise DataError(f"{path} and {other} are to be files both or folders both")
        self.missing = missing

        def read(path: str) -> polars.DataFrame:
            if not folders:
                names = [text] if isinstance(text, str) else text or []
                frame, notes = parse_noted(path, path, self.split_settings.columns, missing)
                self.notes = (*self.notes, *notes)
                return as_written(frame, path, names, missing)
            frame, note = read_text_folder(path)
            self.notes = (*self.notes, note) if note else self.notes
            return frame

        if folders:
            if text is not None or target is not None:
                raise DataError(f"{path} is a folder of classes; leave --data.text and --data.target out")
            text, target = TEXT, LABEL
        files = read_files(read, path, val_path, test_path)
        frame = files.frame
        self.take(frame, _named(text, "text", frame), _named(target, "target", frame), task, files.val, files.test)
        self.folders = self.class_names if folders else ()
        self.txt_table = not folders and path.lower().endswith(ENDING)


def _named(names: list[str] | str | None, option: str, frame: polars.DataFrame) -> list[str]:
    if names is None:
        some = ", ".join(frame.columns[:10])
        raise DataError(f"--data.{option} names a column of the file, and is missing; there are {some}")
    return [names] if isinstance(names, str) else names
