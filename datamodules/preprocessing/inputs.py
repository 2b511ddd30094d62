"""Contract of the inputs of a modality: from raw rows to the tensors of a model, in training and long after it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy
import polars
import torch
from torch import Tensor, nn

from datamodules.loading.evaluation_batch_size import rows_at_once
from datamodules.preprocessing.json_rows import Source, json_row
from datamodules.preprocessing.modules import Preprocessor
from datamodules.preprocessing.normalization import Unchanged
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.preprocessing.permuted_features import Feature, Tensors, features_of

ROW = "row"  # column of row numbers, counted from 0

JSON = "application/json"

TIME = "time"  # size of a tensor's axis that has any number of steps, in a signature
Reasons = dict[int, str]  # why rows cannot be predicted, by their index


@dataclass
class Chunk:
    """Some rows of a source that may be larger than memory."""

    ids: polars.DataFrame  # of the N rows that can be predicted, the column ``row`` first
    tensors: dict[str, Tensor]  # inputs of the model: ``x``, and where there are any ``categories`` and ``lengths``
    bad: polars.DataFrame  # ids of the other rows, and a column ``reason``
    counts: Mapping[str, int] = field(default_factory=dict)  # rows by the note that holds for them
    notes: tuple[str, ...] = ()  # on the whole source
    done: float = 1.0  # fraction of the source that has been read
    owners: polars.DataFrame | None = None  # ids (N,) of the series whose windows the rows are; None for whole rows


@dataclass
class Piece:
    """Consecutive rows of a table."""

    first: int  # number of the first row
    frame: polars.DataFrame  # the wanted columns; those of bad rows are null
    reasons: Reasons = field(default_factory=dict)  # by their index in the frame
    done: float = 1.0  # fraction of the source that has been read


class Inputs(ABC):
    """Inputs of a modality, which a data module and every later prediction share.

    A subclass is a dataclass in its modality's ``inputs.py`` with a line in ``restore_inputs.INPUTS``; it answers
    everything that predict, export and serve need of a modality.
    """

    normalizer: Normalizer

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns JSON values that ``restored`` needs, among them ``kind``, the key in ``restore_inputs.INPUTS``."""

    @classmethod
    @abstractmethod
    def restored(cls, state: Mapping[str, Any]) -> Self:
        """Builds the inputs from the state of a data module, or of an artefact, see ``restore_inputs``."""

    @abstractmethod
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields the rows of a file, a folder, a frame, an array or texts in their order.

        Raises ``DataError`` for a source that does not fit the train rows.
        """

    @abstractmethod
    def signature(self) -> list[dict[str, Any]]:
        """Describes the tensors of an exported graph: name, type, shape and meaning of each, ``x`` first."""

    @abstractmethod
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        """Draws rows for an exported graph that resemble the train rows in each number alone."""

    @abstractmethod
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        """Returns the readers of the rows of a JSON request: of objects, texts or arrays."""

    def unprepared(self) -> Self:
        """Returns inputs whose tensors are those of an exported graph: NaN where missing, and not normalized."""
        return replace(self, normalizer=Unchanged())  # type: ignore[type-var]  # a dataclass

    def preprocessor(self) -> nn.Module:
        """Returns the module between the tensors of ``unprepared()`` and the network: ``x``, ``lengths`` -> ``x``."""
        return Preprocessor(self.normalizer)

    def statistics(self) -> dict[str, Tensor]:
        """Returns the statistics of train rows, by name, which weights alone are stored with."""
        return {f"statistics.{name}": value for name, value in self.normalizer.state_dict().items()}

    def exported_state(self) -> dict[str, Any]:
        """Returns the JSON values that an artefact stores for ``restored``."""
        return {"inputs": self.state_dict()}

    def exported_files(self) -> dict[str, str]:
        """Returns further JSON files of an artefact, by name."""
        return {}

    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        """Returns the readers of request bodies other than JSON, by content type such as ``image/*``."""
        return {}

    def request_schema(self) -> dict[str, Any]:
        """Describes a request in JSON values: its content types, kinds of rows, names, types and shapes."""
        return {"content_types": [JSON, *self.body_readers()], "kinds": [*self.row_readers()]}

    def request_row(self, raw: Any) -> Any:
        """Returns one row of ``DataModule.raw`` as a JSON request has it; None where it has no such form."""
        return json_row(raw)

    def features(self, rows: Tensors) -> list[Feature]:
        """Returns the features of rows, tensors of ``unprepared()``, each with how it is permuted over rows."""
        return features_of(rows["x"])

    def rows_at_once(self, x: Tensor) -> int:
        """Returns how many rows like ``x`` (N, ...) a network evaluates at a time."""
        has_steps = self.signature()[0]["shape"][-1] == TIME or x.dim() == 3
        return rows_at_once(x.shape[1:], "series" if has_steps else "table", x.device)


class Partition(NamedTuple):
    """Good and bad rows: the indices (N,) of the good ones, and the ids of both."""

    good: Tensor
    ids: polars.DataFrame
    bad: polars.DataFrame


def partition(ids: polars.DataFrame, reasons: Mapping[int, str]) -> Partition:
    """Separates the rows that can be predicted from the others, whose index has a reason."""
    if not reasons:
        return Partition(torch.arange(len(ids)), ids, ids.clear().with_columns(reason=polars.lit("")))
    bad = sorted(reasons)
    good = numpy.delete(numpy.arange(len(ids)), bad)
    reason = polars.Series([reasons[index] for index in bad], dtype=polars.String)
    return Partition(torch.from_numpy(good), ids[good], ids[bad].with_columns(reason=reason))


def numbered(count: int, first: int = 0, **columns: Iterable[Any]) -> polars.DataFrame:
    """Builds the ids of consecutive rows: their numbers, and other columns."""
    rows = polars.int_range(first, first + count, eager=True, dtype=polars.Int64).alias(ROW)
    return polars.DataFrame([rows, *(polars.Series(name, list(values)) for name, values in columns.items())])


def infinite_rows(x: Tensor, nan_too: bool = False) -> Reasons:
    """Finds rows (N, ...) with values that are infinite in float32, or NaN where that is no missing value."""
    if not x.is_floating_point():
        return {}
    numbers = x.float()
    bad = (~numbers.isfinite() if nan_too else numbers.isinf()).reshape(len(x), -1).any(dim=1)
    value = "NaN or infinite" if nan_too else "infinite"
    return dict.fromkeys(bad.nonzero().flatten().tolist(), f"a value is {value} or beyond float32; correct it")


def as_array(source: Any, read: Callable[[Path], Any]) -> Any:
    """Returns the array of a file, read by ``read``, or an object in memory as an array."""
    return read(Path(source)) if isinstance(source, str | Path) else numpy.asarray(source)


def tensor_spec(name: str, dtype: str, *shape: int | str, **more: Any) -> dict[str, Any]:
    """Returns the description of a tensor in a signature."""
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape], **more}


LENGTHS = tensor_spec("lengths", "int64", meaning="steps of each row, at least 1")
