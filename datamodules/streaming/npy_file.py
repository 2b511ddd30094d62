"""Reader and writer of .npy files, a piece at a time, so that only the piece is in memory."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DataError
from datamodules.regular_file import check_regular

DTYPES = ("float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64", "bool")


class DiskArray:
    """Array in a .npy file, rows first, in C order; raises ``DataError`` for another or an incomplete file.

    The file is read, not mapped: pages of a mapping count as the process's memory until the kernel reclaims them.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        check_regular(path)
        try:
            with open(path, "rb") as file:
                shape, fortran, kind = _header(file)
                self._offset = file.tell()
            size = os.path.getsize(path)
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed with the array
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}; it is to be a .npy file") from error
        except (ValueError, EOFError, SyntaxError) as error:
            raise DataError(f"{path} is no .npy file of numbers; save the array with numpy.save") from error
        if kind.name not in DTYPES or not kind.isnative or (fortran and len(shape) > 1):
            order = "Fortran order" if fortran else "C order"
            raise DataError(f"{path} holds {kind} in {order}, and only plain numbers in C order can be streamed")
        if not shape or not shape[0]:
            raise DataError(f"{path} has no rows")
        self.shape: tuple[int, ...] = tuple(shape)
        self.dtype = torch.from_numpy(numpy.empty(0, kind)).dtype
        self.convert: Callable[[Tensor], Tensor] | None = None  # of the rows that ``read`` returns
        self.row_bytes = kind.itemsize * int(numpy.prod(shape[1:], dtype=numpy.int64))
        if size < self._offset + self.row_bytes * len(self):
            raise DataError(f"{path} is cut off: its header says {len(self):,} rows of {self.row_bytes:,} bytes")

    def __len__(self) -> int:
        return int(self.shape[0])

    def read(self, start: int, stop: int, out: Tensor | None = None) -> Tensor:
        """Reads rows from ``start`` to before ``stop``, or to the last; into ``out`` if it is large enough."""
        rows = max(0, min(stop, len(self)) - start)
        if out is None or len(out) < rows:
            out = torch.empty((rows, *self.shape[1:]), dtype=self.dtype)
        out = out[:rows]
        view, done = out.numpy().reshape(-1).view(numpy.uint8).data, 0
        while done < len(view):
            got = os.preadv(self._file.fileno(), [view[done:]], self._offset + start * self.row_bytes + done)
            if not got:
                raise DataError(f"{self.path} was cut off while it was read; start again once it is whole")
            done += got
        return out if self.convert is None else self.convert(out)

    def pieces(self, rows: int) -> Iterator[Tensor]:
        """Yields all rows, ``rows`` at a time; the next piece overwrites a piece."""
        buffer = torch.empty((min(rows, len(self)), *self.shape[1:]), dtype=self.dtype)
        for start in range(0, len(self), rows):
            yield self.read(start, start + rows, buffer)

    def digest(self, check: Callable[[Tensor, int], None] | None = None) -> str:
        """Returns SHA-256 of type, shape and content, in one pass, and calls ``check`` with each piece and its row."""
        sha = hashlib.sha256(f"{self.dtype}{self.shape}".encode())
        rows = max(1, (1 << 22) // max(1, self.row_bytes))
        for number, piece in enumerate(self.pieces(rows)):
            if check is not None:
                check(piece, number * rows)
            sha.update(piece.numpy().reshape(-1).view(numpy.uint8).data)
        return sha.hexdigest()


@contextmanager
def array_writer(path: Path, dtype: str, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[Any]], object]]:
    """Yields a function that appends rows to a .npy file; the file is complete and synced after the ``with`` block."""
    kind = numpy.dtype(dtype)
    with open(path, "wb") as file:
        header = {"descr": numpy.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        numpy.lib.format.write_array_header_1_0(file, header)
        yield lambda piece: file.write(numpy.ascontiguousarray(piece, dtype=kind).data)
        file.flush()
        os.fsync(file.fileno())


def _header(file: Any) -> tuple[tuple[int, ...], bool, numpy.dtype[Any]]:
    version = numpy.lib.format.read_magic(file)
    read = numpy.lib.format.read_array_header_1_0 if version == (1, 0) else numpy.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, numpy.dtype[Any]] = read(file)
    return header
