"""Decoding of one image file or array to bytes of a size and number of channels, by pillow."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.class_folders import readable
from datamodules.errors import DataError
from datamodules.preprocessing.json_rows import reason_of
from datamodules.regular_file import check_regular

Channels = Literal[1, 3]
"""Grey, or red, green and blue."""

Pixels = NDArray[numpy.uint8]

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are read. Others have no magic number, or run a program to be read, as EPS does."""

SIXTEEN = ("I", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of more than 8 bits."""

GREY = ("1", "L", "LA", "La", "F", *SIXTEEN)
"""Pillow's modes without colour."""

RESIZE = Image.Resampling.BILINEAR
"""Linear, over all pixels that a smaller one covers, which prevents aliasing."""


def channels_of(path: Path | bytes) -> Channels:
    """Returns 1 for a grey file, 3 for one with colours or a palette; raises ``DataError`` for what is no image."""
    try:
        with _open(path) as image:
            return 1 if image.mode in GREY else 3
    except Exception as error:
        raise _unreadable(path, error) from error


def decode(path: Path | bytes, channels: Channels, size: tuple[int, int] | None) -> Pixels:
    """Decodes a file, or its content, in its EXIF orientation to bytes (channels, H, W).

    Of several frames the first is decoded. 16 bits become the upper 8; transparent pixels become white.

    Args:
        path: Path of the file, or its content.
        channels: Grey or colour, independent of the file.
        size: Height and width to resize to; None keeps those of the file.

    Raises:
        DataError: For a missing, truncated or enormous file, or one that is no image.
    """
    try:
        with _open(path) as image:
            image.load()
            return finish(ImageOps.exif_transpose(image), channels, size)
    except Exception as error:  # pillow's readers raise all kinds of errors on broken files
        raise _unreadable(path, error) from error


def highest_of_sixteen_bits(path: Path | bytes) -> int:
    """Returns the highest value of a file with 16 bits; 0 for another file, and one that cannot be decoded."""
    try:
        with _open(path) as image:
            return int(numpy.asarray(image).max()) if image.mode in SIXTEEN else 0
    except Exception:  # the reader of the pixels raises it
        return 0


def frames_of(path: Path) -> int:
    """Returns the number of frames or pages of a file; 1 for one that cannot be decoded."""
    try:
        with _open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # the reader of the pixels raises it
        return 1


def finish(image: Image.Image, channels: Channels, size: tuple[int, int] | None) -> Pixels:
    """Returns the pixels (channels, H, W) of a pillow image, converted first and then resized."""
    plain = _opaque(_eight_bits(image)).convert("L" if channels == 1 else "RGB")
    if size is not None and plain.size != size[::-1]:
        plain = plain.resize(size[::-1], RESIZE)
    pixels = numpy.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def as_png(pixels: Pixels) -> bytes:
    """Returns pixels (channels, H, W) as a PNG file."""
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
    picture.save(file := BytesIO(), "PNG")
    return file.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """Converts 16 bits to 8; pillow would clip them at 255."""
    if image.mode == "F":
        raise ValueError("it has floating-point pixels; save it with 8 bits")
    if image.mode not in SIXTEEN:
        return image
    values = numpy.asarray(image).astype(numpy.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its pixels have more than 16 bits; save it with 8 bits")
    return Image.fromarray((values >> 8).astype(numpy.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Returns the image without transparency, on white."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)


def _open(image: Path | bytes) -> Image.Image:
    if isinstance(image, Path):
        check_regular(image)
    return Image.open(BytesIO(image) if isinstance(image, bytes) else image, formats=FORMATS)


def called(image: Path | bytes) -> str:
    """Returns the name of an image in messages."""
    return "it" if isinstance(image, bytes) else readable(str(image))


def _unreadable(image: Path | bytes, error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    path = called(image)
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path} is not there; correct the path or take its row out")
    if isinstance(error, UnidentifiedImageError):
        return DataError(f"{path} is no image of a format that is read ({', '.join(FORMATS)}); convert or remove it")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return DataError(
            f"{path} says that it has more than {Image.MAX_IMAGE_PIXELS:,} pixels; remove it or save it smaller"
        )
    return DataError(f"{path} cannot be decoded: {reason_of(error)}; replace or remove it")
