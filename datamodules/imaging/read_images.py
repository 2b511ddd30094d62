"""Reader of many images into one array of bytes, decoded once, by several threads."""

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor

from datamodules.errors import DataError
from datamodules.imaging.decoding import (
    Channels,
    Pixels,
    called,
    channels_of,
    decode,
    finish,
    frames_of,
    highest_of_sixteen_bits,
)
from datamodules.preprocessing.inputs import Reasons
from datamodules.progress import progress

SOME = 100
"""So many images at most, at equal distances, decide whether all are grey, and are looked at for a note."""

ANIMATED = (".gif", ".tif", ".tiff", ".webp", ".apng")
"""Endings of files that may have several frames or pages."""

DARK = 64
"""Pixels below it use less than a quarter of the range."""

BLOCK = 16
"""Images that a thread takes at a time."""

Images = list[Path] | list[bytes] | Pixels
"""Files, their contents, or arrays (N, C, H, W) with 1 or 3 channels."""


def read_images(parts: Sequence[Images], channels: Channels | None, size: tuple[int, int] | None) -> Tensor:
    """Reads the images of several sources, one after another, as bytes (N, C, H, W).

    Args:
        parts: Images of each source, at least one in all.
        channels: Grey or colour; by default grey if all of some images of the first source are, see ``SOME``.
        size: Height and width to resize to; by default all images must have the size of the first.

    Raises:
        DataError: For an image that cannot be read, or sizes that differ.
    """
    with _pillow_ready():
        first = parts[0]
        if isinstance(first, list):
            channels = channels or max(map(channels_of, _some(first)))
            height, width = size or decode(first[0], channels, None).shape[1:]
        else:
            channels, (height, width) = channels or first.shape[1], size or first.shape[2:]
        other_size = f" and the first image {height} x {width}; give all one size with --data.size [{height},{width}]"
        out = numpy.empty((sum(map(len, parts)), channels, height, width), numpy.uint8)
        stops = numpy.cumsum([len(part) for part in parts])
        for part, rows in zip(parts, numpy.split(out, stops[:-1]), strict=True):
            _fill(rows, part, size, other_size)
    return torch.from_numpy(out)


def read_each(images: Images, channels: Channels, size: tuple[int, int], resize: bool) -> tuple[Pixels, Reasons]:
    """Reads images as bytes (N, C, H, W), black where one cannot be read, and the reasons, by position."""
    out = numpy.zeros((len(images), channels, *size), numpy.uint8)
    reasons: Reasons = {}
    other_size = f", and the model was trained on {size[0]} x {size[1]} without resizing"
    with _pillow_ready():
        _fill(out, images, size if resize else None, other_size, reasons)
    return out, reasons


def range_note(images: Images, pixels: Pixels) -> str:
    """Returns a note if files with 16 bits use less than a quarter of the range, as 12-bit scans do; else ""."""
    if not isinstance(images, list) or pixels.max(initial=0) >= DARK:
        return ""
    high = max(map(highest_of_sixteen_bits, _some(images)), default=0)
    return (
        f"16-bit pixels go up to {high:,} of 65,535, and only the upper 8 bits are read, up to {high >> 8} of 255; "
        "multiply them to the full range, or save 8 bits"
    ) * bool(high)


def frames_note(images: Images) -> str:
    """Returns a note if files have several frames or pages, of which the first is read; else ""."""
    if not isinstance(images, list):
        return ""
    files = [image for image in images if isinstance(image, Path) and image.suffix.lower() in ANIMATED]
    for file in _some(files, 1000):
        if (count := frames_of(file)) > 1:
            reason = f"{called(file)} has {count} frames or pages, and the first alone is read"
            return f"{reason}; save each as a file if they matter"
    return ""


def _some(images: list[Any], most: int = SOME) -> list[Any]:
    return images[:: len(images) // most + 1]


@contextmanager
def _pillow_ready() -> Iterator[None]:
    """Loads pillow's readers, and turns its warning of decompression bombs into an error."""
    Image.init()  # pillow would load its readers at the first file, in several threads at once
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # on odd tags, which are not needed
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _fill(
    out: Pixels, images: Images, size: tuple[int, int] | None, other_size: str, reasons: Reasons | None = None
) -> None:
    """Reads images, resized to ``size`` if there is one, into bytes (N, C, H, W).

    ``reasons`` receives why images cannot be read, by their index; without it the first error is raised.
    """
    if not isinstance(images, list) and images.shape[1:] == out.shape[1:]:
        out[:] = images
        return
    channels: Channels = 1 if out.shape[1] == 1 else 3

    def pixels_of(row: int) -> Pixels:
        image = images[row]
        if isinstance(image, numpy.ndarray):
            plain = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            name, pixels = f"image {row} of an array", finish(plain, channels, size)
        else:
            name, pixels = called(image), decode(image, channels, size)
        if pixels.shape[1:] != out.shape[2:]:
            raise DataError(f"{name} is {pixels.shape[1]} x {pixels.shape[2]} (height x width){other_size}")
        return pixels

    def read(start: int) -> None:
        for row in range(start, min(start + BLOCK, len(out))):
            try:
                out[row] = pixels_of(row)
            except DataError as error:
                if reasons is None:
                    raise
                reasons[row] = str(error)

    # Pillow releases the interpreter's lock while it decodes and resizes, and threads write in place.
    workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 32)
    with ThreadPoolExecutor(workers) as pool:
        for _ in progress(pool.map(read, range(0, len(out), BLOCK)), "reading images", len(out), lambda _: BLOCK):
            pass
