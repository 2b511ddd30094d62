"""Inputs of data modules that give nothing but tensors: rows are arrays of one shape."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.errors import DataError
from datamodules.preprocessing.inputs import Chunk, Inputs, as_array, infinite_rows, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, read_arrays, reason_of
from datamodules.preprocessing.normalization import restore
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.regular_file import check_regular


@dataclass
class ArrayInputs(Inputs):
    """Inputs of rows that are arrays of one shape."""

    normalizer: Normalizer
    shape: tuple[int, ...]  # of a row

    def tensors(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Returns normalized rows ``x`` (N, *shape) float32, 0 where they are padded, with their ``lengths``."""
        normal = self.preprocessor()(x, lengths)
        return {"x": normal} if lengths is None else {"x": normal, "lengths": lengths}

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"kind": "array", "shape": list(self.shape)}

    @classmethod
    @override
    def restored(cls, state: Mapping[str, Any]) -> "ArrayInputs":
        return cls(restore(state["statistics"]), tuple(state["inputs"]["shape"]))

    @override
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields the rows of an array (N, *shape), or of an .npy or .npz file that holds one, as ``x``."""
        name = str(source) if isinstance(source, str | Path) else "the array"
        x = as_array(source, read_array)
        if x.dtype.kind not in "biuf" or x.size == 0:
            raise DataError(f"{name} is {x.dtype} of shape {x.shape}, and rows of numbers are needed")
        if x.shape[1:] not in (self.shape, self.shape[1:]):
            shape = ", ".join(map(str, self.shape))
            raise DataError(f"{name} has the shape {x.shape}, and the model was trained on rows of shape (N, {shape})")
        rows = torch.from_numpy(numpy.ascontiguousarray(x)).view(-1, *self.shape)
        index, ids, bad = partition(numbered(len(rows)), infinite_rows(rows, nan_too=True))
        yield Chunk(ids, self.tensors(rows[index]), bad)

    @override
    def signature(self) -> list[dict[str, Any]]:
        return [tensor_spec("x", "float64", *self.shape)]

    @override
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        shape = (self.shape[0] * self.normalizer.channels, *self.shape[1:])
        return {"x": self.normalizer.inverse(torch.randn(count, *shape, generator=draw, dtype=torch.float64))}

    @override
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        return {"arrays": read_arrays}

    @override
    def request_row(self, raw: Any) -> Any:
        row = super().request_row(raw)
        return numpy.reshape([*row.values()], self.shape).tolist() if isinstance(row, dict) else row  # of a frame

    @override
    def request_schema(self) -> dict[str, Any]:
        return {**super().request_schema(), "shape": [*self.shape]}


def read_array(path: Path) -> Any:
    """Reads the array of an .npy file, or ``x`` (or the only one) of an .npz file; nothing is unpickled."""
    check_regular(path)
    try:
        loaded = numpy.load(path, allow_pickle=False)
        if isinstance(loaded, numpy.ndarray):
            return loaded
        with loaded as archive:
            return archive["x" if "x" in archive.files or len(archive.files) != 1 else archive.files[0]]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # numpy parses a header as Python, which raises errors of every kind
        raise DataError(f"{path} cannot be read as an array: {reason_of(error)}; save it with numpy.save") from error
