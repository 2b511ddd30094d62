"""The data module of everything that is a table in memory."""

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
from datamodules.tables.columns import Columns, ColumnType, read_columns
from datamodules.tables.encoding import Encoding, learn, learn_numbers
from datamodules.tables.input_columns import inputs_among
from datamodules.tables.inputs import TableInputs
from datamodules.tables.read_table import MISSING
from datamodules.tables.targets import Target, check_train_targets, read_target
from datamodules.types import TaskName


class FrameData(InMemoryData):
    """A table in a polars frame, which a subclass gives to ``take`` in its constructor.

    Missing numbers become the median and numbers are normalized; a category becomes its index, with one of its own for
    a category that no train row has (0) and one for a missing value (1). All of it is learned on the train rows.

    Args:
        types: What columns are, where it is not what they look like: numeric, categorical or date.
        drop: Column or columns that are no inputs, such as ids.
        kwargs: Options of every data set in memory, see ``InMemoryData``.

    Raises:
        DataError: For settings or data that cannot be used.
    """

    modality = "table"

    def __init__(
        self,
        types: dict[str, ColumnType] | None = None,
        drop: list[str] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.types = types or {}
        self.drop = [drop] if isinstance(drop, str) else drop or []
        self.missing: Sequence[str] = MISSING
        self.columns: Columns
        self.encoding: Encoding
        self._target: Target

    def take(
        self,
        frame: polars.DataFrame,
        target: Sequence[str],
        task: TaskName | None,
        val: Tensor | None = None,
        test: Tensor | None = None,
    ) -> None:
        """Read the columns of a frame, split its rows and learn the categories: after it all facts are known.

        Args:
            frame: Missing values are null.
            target: Columns to predict.
            task: What is asked; what the target looks like where it is left out.
            val: Rows of a validation part that the data come with.
            test: Rows of a test part that they come with.
        """
        inputs = inputs_among(frame.columns, target, self.drop, self.types, self.split_settings)
        self.columns = read_columns(frame.select(inputs), self.types)
        self._target = read_target(frame.select(target), task)
        _, self.task, self.num_outputs, self.class_names = self._target
        self.input_shape = (self.columns.numbers.shape[1],)
        self.target_names = tuple(target)
        self._frame, self._inputs_named, self._given = frame, inputs, (val, test)
        split, notes = self.split_now(), []
        check_train_targets(self._target, split.train)
        self._set_encoding(learn(self.columns, split.train))
        for part in ("val", "test"):
            rows: Tensor = getattr(split, part)
            for name, count in self.encoding.unknown(self.columns, rows).items():
                notes.append(f"categories of {name} that no train row has: {count:,} of {len(rows):,} {part} rows")
        self.notes = (*self.notes, *notes)

    def load(self) -> Rows:
        """The targets and the frame; the inputs are in ``columns``, in less memory than a tensor would take."""
        val, test = self._given
        return Rows(torch.empty(len(self._frame), 0), self._target.y, test, val, about=self._frame)

    def features(self) -> polars.DataFrame:
        """The input columns as they are in the file."""
        return self._frame.select(self._inputs_named)

    def raw(self, index: Tensor) -> polars.DataFrame:
        """Some rows of the input columns as they are in the file, by their numbers."""
        return self.features()[index.numpy()]

    def unprepared(self, index: Tensor) -> dict[str, Tensor]:
        """Numbers, NaN where missing, and category indices."""
        return self.inputs.unprepared().tensors(self.columns, index)

    @property
    def inputs(self) -> TableInputs:
        """The columns, medians, categories and statistics."""
        assert self.statistics is not None
        return TableInputs(self.statistics, self.encoding, self.columns.kinds, self.missing)

    def state_dict(self) -> dict[str, Any]:
        """The split, the statistics and the encoding."""
        state = super().state_dict()
        return {**state, "encoding": self.encoding.state_dict()} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a checkpoint's split, statistics and encoding instead of one's own."""
        super().load_state_dict(state_dict)
        if state_dict:
            self._set_encoding(Encoding(**state_dict["encoding"]))

    def _set_encoding(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.cardinalities = encoding.cardinalities

    def _tensors(self, index: Tensor) -> dict[str, Tensor]:
        return self.inputs.tensors(self.columns, index)

    def _learn(self, train: Tensor) -> Normalizer:
        return learn_numbers(self.columns, self.encoding, train, self.normalize)

    def _first_copies(self) -> Tensor:
        return first_equal(self._frame.select([*self._inputs_named, *self.target_names]))

    def _check(self, rows: Rows) -> None:
        """Nothing: columns and targets were checked one by one, and NaN is a missing number here."""

    def _data_digest(self) -> str:
        columns = self.columns
        names = json.dumps([columns.number_names, columns.category_names, columns.levels])
        tensors = digest(columns.numbers, columns.codes, self._target.y)
        return hashlib.sha256(f"{names}{tensors}".encode()).hexdigest()
