"""From images to normalized pixels of one size, with the statistics of the train rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy
import polars
import torch
from torch import Tensor

from datamodules.errors import DataError
from datamodules.imaging.decoding import Channels
from datamodules.imaging.image_arrays import arrange, as_bytes, in_range, read_images_alone
from datamodules.imaging.image_sources import TABLES, walk
from datamodules.imaging.read_images import Images, Wanted, read_each
from datamodules.preprocessing.inputs import Chunk, Reasons, numbered, sort_out
from datamodules.preprocessing.normalization import Normalizer, Unchanged, restore
from datamodules.tables.inputs import as_frame
from datamodules.tables.read_table import MISSING
from datamodules.tables.table_source import Table

PIECE = 2**28
"""Bytes of decoded images that are held at a time."""


@dataclass
class ImageInputs:
    """What a model of images is given.

    Args:
        normalizer: Of the channels.
        channels: Grey or colour.
        size: Height and width.
        resize: Whether images of another size are resized; else they are bad.
        column: The column of an index file with the images' paths.
    """

    normalizer: Normalizer
    channels: Channels
    size: tuple[int, int]
    resize: bool
    column: str

    def tensors(self, pixels: Tensor) -> dict[str, Tensor]:
        """Of bytes (N, C, H, W), or numbers in [0, 255], ``x`` float32 of the same shape."""
        return {"x": self.normalizer.apply(pixels)}

    def on(self, device: torch.device) -> "ImageInputs":
        """The same, its statistics where the pixels are."""
        return replace(self, normalizer=type(self.normalizer)(*(one.to(device) for one in self.normalizer)))

    def state_dict(self) -> dict[str, Any]:
        """Channels, size and the index file's column."""
        return {
            "kind": "image",
            "channels": self.channels,
            "size": list(self.size),
            "resize": self.resize,
            "column": self.column,
        }

    def unprepared(self) -> "ImageInputs":
        """Pixels as bytes."""
        return replace(self, normalizer=Unchanged())

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "ImageInputs":
        """From the state of a data module."""
        inputs = state["inputs"]
        size = (inputs["size"][0], inputs["size"][1])
        return cls(restore(state["statistics"]), inputs["channels"], size, inputs["resize"], inputs["column"])

    def chunks(self, source: Any) -> Iterator[Chunk]:
        """An image, a folder of them, an index file, arrays; in Python paths, files' contents, a frame or an array.

        Bad is what is no image, or has another size where the train rows had one size without being resized.
        """
        if isinstance(source, str | Path):
            place = Path(source)
            if place.is_dir():
                yield from self._paths(*_folder(place), place)
            elif place.suffix.lower() in TABLES:
                yield from self._index(Table(place, MISSING), place.parent)
            elif not place.exists():
                raise DataError(f"there is no {place}; name an image, a folder, an index file or a file of arrays")
            elif (images := read_images_alone(place)) is not None:
                yield from self._array(images, str(place))
            else:
                yield from self._paths([place], [place.name], place.parent)
        elif isinstance(frame := as_frame(source), polars.DataFrame):
            yield from self._index(Table(frame, MISSING), Path())
        elif isinstance(source, list | tuple) and all(isinstance(one, str | Path) for one in source):
            yield from self._paths([Path(one) for one in source], [str(one) for one in source], Path())
        elif isinstance(source, list | tuple) and all(isinstance(one, bytes) for one in source):
            yield from self._pieces(list(source), numbered(len(source)))
        else:
            yield from self._array(numpy.asarray(source), "the array")

    @property
    def _piece(self) -> int:
        return max(1, min(4096, PIECE // (self.channels * self.size[0] * self.size[1])))

    def _index(self, table: Table, root: Path) -> Iterator[Chunk]:
        notes = table.check([self.column])
        for piece in table.pieces([self.column]):
            names = piece.frame[self.column].cast(polars.String)
            missing = dict.fromkeys(names.is_null().arg_true().to_list(), f"column {self.column} has no path")
            paths = [root / (name or "") for name in names]
            ids = numbered(len(paths), piece.first, file=names)
            yield from self._pieces(paths, ids, missing | piece.reasons, notes, piece.done)

    def _paths(self, paths: list[Path], names: list[str], root: Path) -> Iterator[Chunk]:
        if not paths:
            raise DataError(f"the folder {root} has no file in it; add images")
        yield from self._pieces(paths, numbered(len(paths), file=names))

    def _array(self, images: Any, name: str) -> Iterator[Chunk]:
        ordered = arrange(images, name)
        for first in range(0, len(ordered), self._piece):
            some = ordered[first : first + self._piece]
            good = in_range(some, name)
            reasons = dict.fromkeys(numpy.flatnonzero(~good).tolist(), "pixels are not in [0, 1]")
            pixels = as_bytes(numpy.where(good.reshape(-1, 1, 1, 1), some, numpy.zeros((), some.dtype)))
            done = (first + len(some)) / len(ordered)
            yield self._chunk(pixels, numbered(len(some), first), reasons, (), done)

    def _pieces(
        self, paths: list[Path] | list[bytes], ids: polars.DataFrame, reasons: Reasons | None = None,
        notes: tuple[str, ...] = (), done: float = 0.0,
    ) -> Iterator[Chunk]:  # fmt: skip
        for first in range(0, len(paths), self._piece):
            some = slice(first, first + self._piece)
            here = {place - first: why for place, why in (reasons or {}).items() if some.start <= place < some.stop}
            yield self._chunk(paths[some], ids[some], here, notes, done or min(1.0, some.stop / len(paths)))

    def _chunk(
        self, images: Images, ids: polars.DataFrame, reasons: Reasons, notes: tuple[str, ...], done: float
    ) -> Chunk:
        pixels, unreadable = read_each(images, Wanted(self.channels, self.size), self.resize)
        places, good, bad = sort_out(ids, unreadable | reasons)
        return Chunk(good, self.tensors(torch.from_numpy(pixels)[places]), bad, {}, notes, done)


def _folder(root: Path) -> tuple[list[Path], list[str]]:
    try:
        files = list(walk(root, []))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}; correct its permissions") from error
    names = [str(file.relative_to(root)).encode(errors="replace").decode() for file in files]
    return files, names
