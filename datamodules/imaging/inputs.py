"""Inputs of images: from images to normalized pixels of one size, with statistics of the train rows."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor
from typing_extensions import override

from datamodules.class_folders import files_below, names_below, readable
from datamodules.errors import DataError
from datamodules.imaging.decoding import Channels, as_png
from datamodules.imaging.image_arrays import arrange, as_bytes, in_range, read_images_alone
from datamodules.imaging.read_images import Images, range_note, read_each
from datamodules.preprocessing.id_column import and_id, id_state, with_id
from datamodules.preprocessing.inputs import Chunk, Inputs, Reasons, numbered, partition, tensor_spec
from datamodules.preprocessing.json_rows import Source, read_arrays
from datamodules.preprocessing.normalization import restore
from datamodules.preprocessing.normalizer import Normalizer
from datamodules.tables.frame_conversion import as_frame
from datamodules.tables.read_table import MISSING
from datamodules.tables.table_source import Table

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Endings of index files."""

PIECE = 2**28
"""Bytes of decoded images that are held at a time."""


@dataclass
class ImageInputs(Inputs):
    """Inputs of a model of images."""

    normalizer: Normalizer
    channels: Channels
    size: tuple[int, int]  # height and width
    resize: bool  # else images of another size are bad
    column: str  # column of an index file with the images' paths
    folders: Sequence[str] = ()  # names of the classes' folders in training
    id_column: str | None = None  # column of an index file that names rows

    def tensors(self, pixels: Tensor) -> dict[str, Tensor]:
        """Returns ``x`` float32 of bytes (N, C, H, W), or of numbers in [0, 255]."""
        return {"x": self.normalizer(pixels)}

    def on(self, device: torch.device) -> "ImageInputs":
        """Returns inputs with the statistics on the device of the pixels."""
        return replace(self, normalizer=deepcopy(self.normalizer).to(device))

    @override
    def state_dict(self) -> dict[str, Any]:
        own = {"size": list(self.size), "resize": self.resize, "column": self.column, "folders": list(self.folders)}
        return {"kind": "image", "channels": self.channels, **own, **id_state(self.id_column)}

    @classmethod
    @override
    def restored(cls, state: Mapping[str, Any]) -> "ImageInputs":
        inputs = {name: value for name, value in state["inputs"].items() if name != "kind"}
        return cls(restore(state["statistics"]), **{**inputs, "size": tuple(inputs["size"])})

    @override
    def signature(self) -> list[dict[str, Any]]:
        names = ["grey"] if self.channels == 1 else ["red", "green", "blue"]
        return [tensor_spec("x", "uint8", self.channels, *self.size, features=names)]

    @override
    def example_rows(self, count: int, draw: torch.Generator) -> dict[str, Tensor]:
        return {"x": torch.randint(0, 256, (count, self.channels, *self.size), generator=draw, dtype=torch.uint8)}

    @override
    def row_readers(self) -> dict[str, Callable[[list[Any]], Source]]:
        return {"texts": read_base64, "arrays": read_arrays}

    @override
    def body_readers(self) -> dict[str, Callable[[bytes], Source]]:
        return {"image/*": lambda content: Source([content], 1, ("list",))}

    @override
    def request_schema(self) -> dict[str, Any]:
        own = {"channels": self.channels, "size": [*self.size], "resize": self.resize}
        return {**super().request_schema(), "kinds": ["base64", "arrays"], **own}

    @override
    def request_row(self, raw: Any) -> Any:
        """Returns a PNG file in base64."""
        (pixels,) = raw
        return base64.b64encode(as_png(pixels.numpy())).decode() if pixels.dtype == torch.uint8 else None

    @override
    def chunks(self, source: Any) -> Iterator[Chunk]:
        """Yields an image, a folder of them, an index file or arrays; or paths, files' bytes, a frame or an array.

        A row is bad if it is no image, or has another size while images are not resized.
        """
        if isinstance(source, str | Path):
            path = Path(source)
            if path.is_dir():
                files, note = files_below(path, "", self.folders)
                if not files:
                    raise DataError(f"the folder {path} has no file in it; add images")
                ids = numbered(len(files), file=names_below(files, path))
                yield from self._pieces(files, ids, notes=(note,) * bool(note))
            elif path.suffix.lower() in TABLES:
                yield from self._index(Table(path, MISSING), path.parent)
            elif not path.exists():
                raise DataError(f"there is no {path}; name an image, a folder, an index file or a file of arrays")
            elif (images := read_images_alone(path)) is not None:
                yield from self._array(images, str(path))
            else:
                yield from self._pieces([path], numbered(1, file=[readable(path.name)]))
        elif isinstance(source := as_frame(source, [self.column]), polars.DataFrame):
            yield from self._index(Table(source, MISSING), Path())
        elif isinstance(source, list | tuple) and all(isinstance(item, str | Path) for item in source):
            ids = numbered(len(source), file=[readable(str(item)) for item in source])
            yield from self._pieces([Path(item) for item in source], ids)
        elif isinstance(source, list | tuple) and all(isinstance(item, bytes) for item in source):
            yield from self._pieces(list(source), numbered(len(source)))
        else:
            yield from self._array(numpy.asarray(source), "the array")

    @property
    def _piece(self) -> int:
        return max(1, min(4096, PIECE // (self.channels * self.size[0] * self.size[1])))

    def _index(self, table: Table, root: Path) -> Iterator[Chunk]:
        notes = table.check([self.column], self.id_column)
        for piece in table.pieces(and_id([self.column], self.id_column, table.columns)):
            names = piece.frame[self.column].cast(polars.String)
            missing = dict.fromkeys(names.is_null().arg_true().to_list(), f"column {self.column} has no path")
            paths = [root / (name or "") for name in names]
            ids = with_id(numbered(len(paths), piece.first, file=names), piece.frame, self.id_column)
            yield from self._pieces(paths, ids, missing | piece.reasons, notes, piece.done)

    def _array(self, images: Any, name: str) -> Iterator[Chunk]:
        ordered = arrange(images, name)
        for first in range(0, len(ordered), self._piece):
            piece = ordered[first : first + self._piece]
            good = in_range(piece, name)
            reasons = dict.fromkeys(numpy.flatnonzero(~good).tolist(), "pixels are not in [0, 1]")
            pixels = as_bytes(numpy.where(good.reshape(-1, 1, 1, 1), piece, numpy.zeros((), piece.dtype)))
            done = (first + len(piece)) / len(ordered)
            yield self._chunk(pixels, numbered(len(piece), first), reasons, (), done)

    def _pieces(
        self, paths: list[Path] | list[bytes], ids: polars.DataFrame, reasons: Reasons | None = None,
        notes: tuple[str, ...] = (), done: float = 0.0,
    ) -> Iterator[Chunk]:  # fmt: skip
        for first in range(0, len(paths), self._piece):
            stop = first + self._piece
            here = {index - first: reason for index, reason in (reasons or {}).items() if first <= index < stop}
            yield self._chunk(paths[first:stop], ids[first:stop], here, notes, done or min(1.0, stop / len(paths)))

    def _chunk(
        self, images: Images, ids: polars.DataFrame, reasons: Reasons, notes: tuple[str, ...], done: float
    ) -> Chunk:
        pixels, unreadable = read_each(images, self.channels, self.size, self.resize)
        index, good, bad = partition(ids, unreadable | reasons)
        dark = range_note(images, pixels)
        notes = (*notes, dark) if dark else notes
        return Chunk(good, self.tensors(torch.from_numpy(pixels)[index]), bad, {}, notes, done)


def read_base64(rows: list[Any]) -> Source:
    """Reads image files in base64, with or without a prefix such as ``data:image/png;base64,``."""
    images = []
    for index, row in enumerate(rows):
        try:
            images.append(base64.b64decode(row.rpartition(",")[2] if row.startswith("data:") else row, validate=True))
        except (binascii.Error, ValueError) as error:
            raise DataError(f"row {index} is no base64; send an image file's bytes in base64") from error
    return Source(images, len(images), ("list",))
