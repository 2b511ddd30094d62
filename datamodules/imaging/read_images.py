"""Reader of many images into one array of bytes, decoded once, by several threads."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from PIL import Image
from torch import Tensor

from datamodules.errors import DataError
from datamodules.imaging.decoding import Channels, Pixels, called, channels_of, decode, finish, highest_of_sixteen_bits
from datamodules.preprocessing.inputs import Reasons
from datamodules.progress import progress

FIRST = 100
"""Number of images that decide whether all are grey."""

DARK = 64
"""Pixels below it use less than a quarter of the range."""

BLOCK = 16
"""Images that a thread takes at a time."""

Images = list[Path] | list[bytes] | Pixels
"""Files, their contents, or arrays (N, C, H, W) with 1 or 3 channels."""


class Wanted(NamedTuple):
    """Format of all images: channels, and height and width."""

    channels: Channels
    size: tuple[int, int]


def read_images(parts: Sequence[Images], channels: Channels | None, size: tuple[int, int] | None) -> Tensor:
    """Reads the images of several sources, one after another.

    Args:
        parts: Images of each source, at least one in all.
        channels: Grey or colour; by default grey if the first 100 images are.
        size: Height and width to resize to; by default all images must have the size of the first.

    Returns:
        Bytes (N, C, H, W).

    Raises:
        DataError: For an image that cannot be read, or sizes that differ.
    """
    with _pillow_ready():
        wanted = _wanted(parts[0], channels, size)
        out = numpy.empty((sum(map(len, parts)), wanted.channels, *wanted.size), numpy.uint8)
        start = 0
        for part in parts:
            _fill(out[start : start + len(part)], part, wanted, resize=size is not None)
            start += len(part)
    return torch.from_numpy(out)


def read_each(images: Images, wanted: Wanted, resize: bool) -> tuple[Pixels, Reasons]:
    """Reads images as bytes (N, C, H, W), black where one cannot be read, and the reasons, by position."""
    out = numpy.zeros((len(images), wanted.channels, *wanted.size), numpy.uint8)
    reasons: Reasons = {}
    with _pillow_ready():
        _fill(out, images, wanted, resize, lambda row, error: reasons.__setitem__(row, _reason(error, wanted)))
    return out, reasons


def range_note(images: Images, pixels: Pixels) -> str:
    """Returns a note if files with 16 bits use less than a quarter of the range, as 12-bit scans do; else ""."""
    if not isinstance(images, list) or pixels.max() >= DARK:
        return ""
    high = max(map(highest_of_sixteen_bits, images[:: len(images) // FIRST + 1]))
    return (
        f"16-bit pixels go up to {high:,} of 65,535, and only the upper 8 bits are read, up to {high >> 8} of 255; "
        "multiply them to the full range, or save 8 bits"
    ) * bool(high)


@contextmanager
def _pillow_ready() -> Iterator[None]:
    """Loads pillow's readers, and turns its warning of decompression bombs into an error."""
    Image.init()  # pillow would load its readers at the first file, in several threads at once
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # on odd tags, which are not needed
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _wanted(first: Images, channels: Channels | None, size: tuple[int, int] | None) -> Wanted:
    if isinstance(first, list):
        channels = channels or max(channels_of(path) for path in first[:FIRST])
        return Wanted(channels, size or decode(first[0], channels, None).shape[1:])
    return Wanted(channels or first.shape[1], size or first.shape[2:])


class OtherSizeError(DataError):
    """Error for an image of another size; the message has its size before ``and``."""


def _reason(error: DataError, wanted: Wanted) -> str:
    if not isinstance(error, OtherSizeError):
        return str(error)
    height, width = wanted.size
    return f"{str(error).rpartition(' and ')[0]}, and the model was trained on {height} x {width} without resizing"


def _stop(row: int, error: DataError) -> None:
    raise error


def _fill(
    out: Pixels, images: Images, wanted: Wanted, resize: bool, failed: Callable[[int, DataError], None] = _stop
) -> None:
    if not isinstance(images, list) and images.shape[1:] == out.shape[1:]:
        out[:] = images
        return
    read = partial(_file, images) if isinstance(images, list) else partial(_array, images)
    size = wanted.size if resize else None

    def block(start: int) -> int:
        for row in range(start, min(start + BLOCK, len(out))):
            try:
                name, pixels = read(row, wanted.channels, size)
                _check_size(name, pixels, wanted)
                out[row] = pixels
            except DataError as error:
                failed(row, error)
        return BLOCK

    _in_threads(block, range(0, len(out), BLOCK), len(out))


def _check_size(name: str, pixels: Pixels, wanted: Wanted) -> None:
    if pixels.shape[1:] != wanted.size:
        height, width = pixels.shape[1:]
        raise OtherSizeError(
            f"{name} is {height} x {width} (height x width) and the first image {wanted.size[0]} x "
            f"{wanted.size[1]}; give all one size with --data.size [{wanted.size[0]},{wanted.size[1]}]"
        )


def _in_threads(block: Callable[[int], int], starts: range, rows: int) -> None:
    # Pillow releases the interpreter's lock while it decodes and resizes, and threads write in place.
    workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 32)
    with ThreadPoolExecutor(workers) as pool:
        for _ in progress(pool.map(block, starts), "reading images", rows, lambda _: BLOCK):
            pass


def _file(
    files: list[Path] | list[bytes], row: int, channels: Channels, size: tuple[int, int] | None
) -> tuple[str, Pixels]:
    return called(files[row]), decode(files[row], channels, size)


def _array(arrays: Pixels, row: int, channels: Channels, size: tuple[int, int] | None) -> tuple[str, Pixels]:
    array = arrays[row]
    image = Image.fromarray(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
    return f"image {row} of an array", finish(image, channels, size)
