"""Encoding, preprocessing and checkpoint state of a table, in memory or streamed."""

from collections.abc import Sequence
from typing import Any

from datamodules.base import DataModule
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

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of a data module and the encoding."""
        state = super().state_dict()
        return {**state, "encoding": self.encoding.state_dict()} if state else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Replaces statistics, encoding and a split in memory by those of a checkpoint."""
        super().load_state_dict(state_dict)
        if state_dict:
            self._set_encoding(Encoding(**state_dict["encoding"]))

    def _set_encoding(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.cardinalities = encoding.cardinalities
