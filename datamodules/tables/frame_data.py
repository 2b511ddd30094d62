"""Base class of tables in memory."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.in_memory import InMemoryData
from datamodules.preprocessing.normalization import Normalizer
from datamodules.raw_data import Rows, digest, first_equal
from datamodules.tables.columns import Columns, ColumnType, number_note, read_columns
from datamodules.tables.encoded_table import EncodedTable
from datamodules.tables.encoding import learn, learn_numbers
from datamodules.tables.input_columns import inputs_among
from datamodules.tables.targets import Target, check_train_targets, read_target
from datamodules.types import TaskName


class FrameData(EncodedTable, InMemoryData):
    """Table in a polars frame, which a subclass passes to ``take`` in its constructor.

    Missing numbers become the median, and numbers are normalized. A category becomes its index; 0 is a category that no
    train row has, 1 a missing value. Medians, statistics and categories are learned on the train rows.

    Args:
        types: Column types that are not inferred: numeric, categorical or date.
        drop: Column or columns that are no inputs, such as ids.
        kwargs: Options of every data set in memory, see ``InMemoryData``.

    Raises:
        DataError: For options or data that cannot be used.
    """

    def __init__(
        self,
        types: dict[str, ColumnType] | None = None,
        drop: list[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.types = types or {}
        self.drop = [drop] if isinstance(drop, str) else drop or []
        self.columns: Columns
        self._target: Target

    def take(
        self,
        frame: polars.DataFrame,
        target: Sequence[str],
        task: TaskName | None,
        val: Tensor | None = None,
        test: Tensor | None = None,
    ) -> None:
        """Reads the columns of a frame, splits its rows, learns the categories and sets all attributes.

        Args:
            frame: Missing values are null.
            target: Columns to predict.
            task: Task; inferred from the target by default.
            val: Row ids of a validation split that the data come with.
            test: Row ids of a test split that they come with.
        """
        inputs = inputs_among(frame.columns, target, self.drop, self.types, self.split_settings)
        self.columns = read_columns(frame.select(inputs), self.types)
        self.kinds = self.columns.kinds
        self._target = read_target(frame.select(target), task)
        _, self.task, self.num_outputs, self.class_names = self._target
        self.input_shape = (self.columns.numbers.shape[1],)
        self.target_names = tuple(target)
        self._frame, self._inputs_named, self._given = frame, inputs, (val, test)
        texts = (frame[name] for name in self.columns.category_names if name not in self.types)
        notes = [note for text in texts if text.dtype == polars.String and (note := number_note(text))]
        split = self.split_now()
        check_train_targets(self._target, split.train)
        self._set_encoding(learn(self.columns, split.train))
        for split_name in ("val", "test"):
            rows: Tensor = getattr(split, split_name)
            for name, count in self.encoding.unknown(self.columns, rows).items():
                notes.append(
                    f"categories of {name} that no train row has: {count:,} of {len(rows):,} {split_name} rows"
                )
        self.notes = (*self.notes, *notes)

    def load(self) -> Rows:
        """Returns targets and frame; ``columns`` has the inputs, in less memory than a tensor."""
        val, test = self._given
        return Rows(torch.empty(len(self._frame), 0), self._target.y, test, val, about=self._frame)

    def features(self) -> polars.DataFrame:
        """Returns the input columns as they are in the file."""
        return self._frame.select(self._inputs_named)

    def raw(self, index: Tensor) -> polars.DataFrame:
        """Returns rows of the input columns as they are in the file, by their ids."""
        return self.features()[index.numpy()]

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Returns numbers, NaN where missing, and category indices of rows, by their ids."""
        return self.inputs.unprepared().tensors(self.columns, index)

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        return self.inputs.tensors(self.columns, index)

    def _learn(self, train: Tensor) -> Normalizer:
        return learn_numbers(self.columns, self.encoding, train, self.normalize)

    def _first_copies(self) -> Tensor:
        return first_equal(self._frame.select([*self._inputs_named, *self.target_names]))

    def _check(self, rows: Rows) -> None:
        """No check: columns and targets were checked one by one, and NaN is a missing number."""

    def _data_digest(self) -> str:
        columns = self.columns
        names = json.dumps([columns.number_names, columns.category_names, columns.levels])
        tensors = digest(columns.numbers, columns.codes, self._target.y)
        return hashlib.sha256(f"{names}{tensors}".encode()).hexdigest()
