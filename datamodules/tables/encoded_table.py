"""Encoding, preprocessing and checkpoint state of a table, in memory or streamed."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy
import torch
from torch import Tensor

from datamodules.base import DataModule
from datamodules.errors import DataError
from datamodules.tables.columns import Kinds
from datamodules.tables.encoding import Encoding
from datamodules.tables.inputs import TableInputs
from datamodules.tables.read_table import MISSING


class EncodedTable(DataModule):
    """Data module of a table, whose rows a sibling class reads from memory or from disk."""

    modality = "table"
    missing: Sequence[str] = MISSING
    kinds: Kinds
    encoding: Encoding
    id_column: str | None = None

    @property
    def inputs(self) -> TableInputs:
        """Preprocessing: columns, medians, categories and statistics."""
        assert self.statistics is not None
        return TableInputs(self.statistics, self.encoding, self.kinds, self.missing, self.id_column)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Number of numeric columns and dates."""
        return (sum(kind != "categorical" for kind, _ in self.kinds.values()),)

    def number_quantiles(self, count: int) -> Tensor:
        """Returns quantiles of the normalized numbers of train rows (F, count + 1), at equal steps of probability."""
        x = self.train_numbers()
        steps = numpy.linspace(0, 1, count + 1)
        return torch.from_numpy(numpy.quantile(x.numpy(), steps, axis=0).T.astype(numpy.float32))

    @abstractmethod
    def train_numbers(self) -> Tensor:
        """Returns the normalized numbers (N, F) of the train rows, or of a sample of them."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of a data module and the encoding."""
        state = super().state_dict()
        return {**state, "encoding": self.encoding.state_dict()} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces statistics, encoding and a split in memory by those of a checkpoint."""
        super().load_state_dict(state_dict)
        if not state_dict:
            return
        encoding = Encoding(**state_dict["encoding"])
        if self.trainer is not None and self.trainer.training and encoding.width != self.encoding.width:
            raise DataError(
                "the checkpoint was trained with other columns for missing values; an earlier version had none, "
                "as --data.missing_columns false has"
            )
        self._set_encoding(encoding)

    def _set_encoding(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.cardinalities = encoding.cardinalities
        self.input_shape = (encoding.width,)
