"""From raw rows to what a model is given, in training and long after it: the contract, and rows that are arrays."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.preprocessing.normalization import Normalizer, Unchanged, restore
from datamodules.raw_data import valid

ROW = "row"
"""The column of row numbers, counted from 0."""

Reasons = dict[int, str]
"""Why rows cannot be predicted, by their places."""


@dataclass
class Chunk:
    """Some rows of a source that may be larger than memory.

    Args:
        ids: Of the N rows that can be predicted, the column ``row`` first.
        tensors: What the model is given of them: ``x``, and where there are any ``categories`` and ``lengths``.
        bad: The ids of the other rows, and a column ``reason``.
        counts: What of the rows is worth knowing, and how many of them it is said of.
        notes: Sentences about the whole source.
        done: Share of the source that has been read, in [0, 1].
    """

    ids: polars.DataFrame
    tensors: dict[str, Tensor]
    bad: polars.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    done: float = 1.0


@dataclass
class Piece:
    """Rows of a table that follow each other.

    Args:
        first: Number of the first row.
        frame: The wanted columns; those of bad rows are null.
        reasons: Why rows cannot be read, by their places in the frame.
        done: Share of the source that has been read.
    """

    first: int
    frame: polars.DataFrame
    reasons: Reasons = field(default_factory=dict)
    done: float = 1.0


class Inputs(Protocol):
    """What a kind of raw rows is turned into a model's inputs by; a data module and a prediction use the same one."""

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values from which ``restore_inputs`` builds it again, besides those of the data module."""
        ...

    def unprepared(self) -> Self:
        """The same with tensors ahead of what was learned of numbers: NaN where missing, and not normalized."""
        ...

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The rows of a source, in its order.

        Args:
            source: The path of a file or folder; or what Python holds: a frame, an array, texts.

        Raises:
            DataError: For a source that cannot be read as what the model was trained with.
        """
        ...


class Sorted(NamedTuple):
    """Rows parted into good and bad ones: the places (N,) of the good ones, and both ids."""

    places: Tensor
    ids: polars.DataFrame
    bad: polars.DataFrame


def sort_out(ids: polars.DataFrame, reasons: Mapping[int, str]) -> Sorted:
    """Part rows into those that can be predicted and those that cannot.

    Args:
        ids: Of all rows.
        reasons: By the places of those that cannot.
    """
    if not reasons:
        return Sorted(torch.arange(len(ids)), ids, ids.clear().with_columns(reason=polars.lit("")))
    bad = sorted(reasons)
    good = numpy.delete(numpy.arange(len(ids)), bad)
    told = ids[bad].with_columns(reason=polars.Series([reasons[place] for place in bad], dtype=polars.String))
    return Sorted(torch.from_numpy(good), ids[good], told)


def numbered(count: int, first: int = 0, **columns: Iterable[Any]) -> polars.DataFrame:
    """Ids of rows in one go: their numbers, and other columns beside."""
    rows = polars.int_range(first, first + count, eager=True, dtype=polars.Int64).alias(ROW)
    return polars.DataFrame([rows, *(polars.Series(name, list(values)) for name, values in columns.items())])


def infinite_rows(x: Tensor, nan_too: bool = False) -> Reasons:
    """Why rows (N, ...) with infinite values, or NaN where that is no missing value, are bad."""
    if not x.is_floating_point():
        return {}
    bad = (~x.isfinite() if nan_too else x.isinf()).reshape(len(x), -1).any(dim=1)
    what = "NaN or infinite" if nan_too else "infinite"
    return dict.fromkeys(bad.nonzero().flatten().tolist(), f"a value is {what}; correct it")


def as_array(source: Any, read: Callable[[Path], Any]) -> Any:
    """An array as it is, or the one that ``read`` finds in a file."""
    return read(Path(source)) if isinstance(source, str | Path) else numpy.asarray(source)


@dataclass
class ArrayInputs:
    """Rows that are arrays of one shape, of a data module that gives nothing but tensors.

    Args:
        normalizer: What was learned of the train rows.
        shape: Of a row.
    """

    normalizer: Normalizer
    shape: tuple[int, ...]

    def tensors(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Normalized rows ``x`` (N, *shape) float32, 0 where they are padded, with their ``lengths``."""
        normal = self.normalizer.apply(x)
        if lengths is None:
            return {"x": normal}
        return {"x": normal * valid(lengths, x.shape[-1]).unsqueeze(1), "lengths": lengths}

    def state_dict(self) -> dict[str, Any]:
        """The shape."""
        return {"kind": "array", "shape": list(self.shape)}

    def unprepared(self) -> "ArrayInputs":
        """Rows as they come."""
        return replace(self, normalizer=Unchanged())

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "ArrayInputs":
        """From the state of a data module."""
        return cls(restore(state["statistics"]), tuple(state["inputs"]["shape"]))

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """The rows of an array (N, *shape), or of an .npy or .npz file that holds one, as ``x``."""
        name = str(source) if isinstance(source, str | Path) else "the array"
        x = as_array(source, read_array)
        if x.dtype.kind not in "biuf" or x.size == 0:
            raise DataError(f"{name} is {x.dtype} of shape {x.shape}, and rows of numbers are needed")
        if x.shape[1:] != self.shape and x.shape[1:] != self.shape[1:]:
            shape = ", ".join(map(str, self.shape))
            raise DataError(f"{name} has the shape {x.shape}, and the model was trained on rows of shape (N, {shape})")
        rows = torch.from_numpy(numpy.ascontiguousarray(x)).view(-1, *self.shape)
        places, ids, bad = sort_out(numbered(len(rows)), infinite_rows(rows, nan_too=True))
        yield Chunk(ids, self.tensors(rows[places]), bad)


def read_array(path: Path) -> Any:
    """The array of an .npy file, or ``x`` (or the only one) of an .npz file; nothing is unpickled.

    Raises:
        DataError: For another file.
    """
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded as archive:
            return archive["x" if "x" in archive.files or len(archive.files) != 1 else archive.files[0]]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # numpy parses a header as Python, which fails in every way there is
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(f"{path} cannot be read as an array: {reason[:200]}; save it with numpy.save") from error
