"""Base class of tables in memory."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.in_memory import InMemoryData
from datamodules.preprocessing.normalization import is_constant
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.raw_data import Rows, digest, digest_of_cells, first_equal
from datamodules.splitting.train_fraction import undivided
from datamodules.tables.columns import Columns, ColumnType, column_kinds, number_note, read_cells
from datamodules.tables.encoded_table import EncodedTable
from datamodules.tables.encoding import learn, learn_numbers
from datamodules.tables.input_columns import index_note, inputs_among
from datamodules.tables.targets import Target, check_train_targets, read_target
from datamodules.types import TaskName


class FrameData(EncodedTable, InMemoryData):
    """Table in a polars frame, which a subclass passes to ``take`` in its constructor.

    Missing numbers become the median, and numbers are normalized. A category becomes its index; 0 is a category that no
    train row has, 1 a missing value. Medians, statistics and categories are learned on the train rows.

    Args:
        types: Column types that are not inferred: numeric, categorical or date.
        drop: Column or columns that are no inputs, such as ids.
        missing_columns: Give the model a further number, 0 or 1, for each column that has missing values in train rows.
        kwargs: Options of every data set in memory, see ``InMemoryData``.

    Raises:
        DataError: For options or data that cannot be used.
    """

    def __init__(
        self,
        types: dict[str, ColumnType] | None = None,
        drop: list[str] | str | None = None,
        missing_columns: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.missing_columns = missing_columns
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
        location: Callable[[int], str] = "row {}".format,
        train_file: polars.DataFrame | None = None,
        is_text: bool = False,
    ) -> None:
        """Splits the rows of a frame, reads its columns as the types of the train rows, and sets all attributes.

        Args:
            frame: Missing values are null.
            target: Columns to predict.
            task: Task; inferred from the target by default.
            val: Row ids of a validation split that the data come with.
            test: Row ids of a test split that they come with.
            location: Names a row in an error.
            train_file: Rows of the file with the train rows, as it has them, where others have files of their own.
            is_text: Whether it is a CSV file, whose cells have no types.
        """
        inputs = inputs_among(frame.columns, target, self.drop, self.types, self.split_settings, self.id_column)
        self._frame, self._inputs_named, self._given = frame, inputs, (val, test)
        self.target_names = tuple(target)
        self._target = read_target(frame.select(target), task, self._given_train())
        _, self.task, self.num_outputs, self.class_names = self._target
        split = self.split_now()
        check_train_targets(self._target, split.train)
        features = self.features()
        typed = features if train_file is None else train_file.select(inputs)
        # Of all train rows, so that a column is the same with any fraction of them.
        self.kinds = column_kinds(typed, self.types, undivided(split, self.left_out).train, is_text)
        self.columns = read_cells(features, self.kinds, location=location)
        self._set_encoding(learn(self.columns, split.train, self.missing_columns))
        train = split.train.numpy()
        texts = [name for name, (_, dtype) in self.kinds.items() if dtype == "String" and name not in self.types]
        notes = [number_note(features[name].gather(train)) for name in texts]
        notes.append(
            index_note(frame.columns, [*inputs, *self.drop, *target, *self.split_settings.columns, self.id_column])
        )
        numbers = (features[name].gather(train) for name in self.columns.number_names)
        constant = [column.name for column in numbers if _has_one_value(column)]
        if constant and self.normalize != "none":
            notes.append(f"the same in all train rows, and therefore without effect: {', '.join(constant)}")
        notes = list(filter(None, notes))
        for split_name in ("val", "test"):
            rows: Tensor = getattr(split, split_name)
            for about, count in self.encoding.unlearned(self.columns, rows).items():
                notes.append(f"{about}: {count:,} of {len(rows):,} {split_name} rows")
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

    def train_numbers(self) -> Tensor:
        """Returns the normalized numbers (N, F) of the train rows."""
        return self._tensors(self.split_now().train)["x"]

    def column_fingerprints(self) -> dict[str, Any]:
        """Returns the names of target and inputs, and a digest of the cells of each column, dropped ones too."""
        cells = {column.name: digest_of_cells(column) for column in self._frame}
        return {"target": list(self.target_names), "inputs": list(self._inputs_named), "cells": cells}

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        tensors = self.inputs.tensors(self.columns, index)
        x = tensors["x"]
        if x.numel() and torch.stack(x.aminmax()).isinf().any():
            row, column = x.isinf().nonzero()[0].tolist()
            raise DataError(
                f"column {self.columns.number_names[column]} is infinite in row {int(index[row])} once it is "
                "normalized; correct the file or drop the column"
            )
        return tensors

    def _given_train(self) -> Tensor:
        """Returns the rows that are known to train before the split, or all rows."""
        rows, column = torch.arange(len(self._frame)), self.split_settings.split_column
        if column is not None:
            train = torch.tensor((self._frame[column].cast(polars.String) == "train").arg_true().to_numpy()).long()
        else:
            given = torch.cat([rows[:0], *(ids for ids in self._given if ids is not None)])
            train = rows[torch.isin(rows, given, invert=True)]
        return train if len(train) else rows

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


def _has_one_value(column: polars.Series) -> bool:
    low: Any = column.min()
    high: Any = column.max()
    ends = [low, high] if column.dtype.is_numeric() and low is not None else None
    return low == high if ends is None else bool(is_constant(*torch.tensor(ends, dtype=torch.float64)))
