"""Reader of image and label arrays: .npz, .npy or IDX."""

import re
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.imaging.decoding import Pixels
from datamodules.imaging.idx import is_idx, parse_idx, unpacked
from datamodules.numpy_file import read_numpy
from datamodules.regular_file import read_regular

IMAGES = ("x", "images")
LABELS = ("y", "labels")
"""Names of the two arrays of an .npz file."""

MAGIC = b"\x93NUMPY"
"""First bytes of an .npy file."""

Array = NDArray[Any]


def read_arrays(path: Path) -> tuple[Pixels, Array]:
    """Reads images and labels.

    Args:
        path: An .npz file with ``x`` or ``images`` and ``y`` or ``labels``; or an .npy or IDX file of images, gzip or
            not, in the folder of one of labels with the same name except ``labels`` for ``images`` or ``y`` for ``x``.

    Returns:
        Bytes (N, C, H, W) with 1 or 3 channels, and N labels (N,) or (N, L).

    Raises:
        DataError: For missing or broken files, and other arrays.
    """
    content = _bytes(path)
    if content.startswith(b"PK"):
        arrays = read_numpy(content, str(path), IMAGES + LABELS)
        images, labels = (_only_array(arrays, names, str(path)) for names in (IMAGES, LABELS))
    else:
        labels_path = _labels_path(path)
        images, labels = _array(content, str(path)), _array(_bytes(labels_path), str(labels_path))
    ordered = arrange(images, str(path))
    if not in_range(ordered, str(path)).all():
        raise _beyond(ordered, str(path))
    pixels = as_bytes(ordered)
    if labels.ndim not in (1, 2) or len(labels) != len(pixels) or labels.dtype.kind not in "biufU":
        raise DataError(
            f"{path} has {len(pixels):,} images and labels of shape {labels.shape} and type {labels.dtype}; there is "
            "to be one number or text for each image, or a row of numbers"
        )
    return pixels, labels


def arrange(images: Array, name: str) -> Array:
    """Arranges images (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3, as (N, C, H, W)."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[-1] in (1, 3) and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise DataError(
            f"{name} holds an array of shape {images.shape}, and images are (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "with 1 or 3 channels"
        )
    return images


def in_range(images: Array, name: str) -> NDArray[numpy.bool_]:
    """Returns a mask of the images (N, C, H, W) whose pixels are in range."""
    top = {"b": 1, "u": 255, "i": 255, "f": 1}.get(images.dtype.kind)
    if top is None:
        raise _beyond(images, name)
    low, high = images.min(axis=(1, 2, 3)), images.max(axis=(1, 2, 3))
    return numpy.asarray((low >= 0) & (high <= top))  # NaN is out of range


def as_bytes(images: Array) -> Pixels:
    """Converts images in range to bytes: whole numbers 0 to 255, truth values, and floating-point numbers 0 to 1."""
    scaled = images if images.dtype.kind in "ui" else (images * 255.0).round()
    return scaled.astype(numpy.uint8, copy=False)


def read_images_alone(path: Path) -> Array | None:
    """Returns the images of an .npz, .npy or IDX file without labels; None for another file."""
    content = _bytes(path)
    if content.startswith(b"PK"):
        return _only_array(read_numpy(content, str(path), IMAGES), IMAGES, str(path))
    return _array(content, str(path)) if is_idx(content) or content.startswith(MAGIC) else None


def _beyond(images: Array, name: str) -> DataError:
    return DataError(
        f"{name} holds pixels of type {images.dtype} beyond what is read, whole numbers 0 to 255 or "
        "floating-point numbers 0 to 1; scale and save them as bytes"
    )


def _bytes(path: Path) -> bytes:
    return unpacked(read_regular(path, "correct --data.path"), str(path))


def _array(content: bytes, name: str) -> Array:
    if is_idx(content):
        return parse_idx(content, name)
    if not content.startswith(MAGIC):
        raise DataError(
            f"{name} is neither .npy nor IDX; save arrays with numpy.save, and call an index file .csv or .parquet"
        )
    return read_numpy(content, name)["x"]


def _only_array(arrays: dict[str, Array], names: tuple[str, ...], path: str) -> Array:
    present = [name for name in names if name in arrays]
    if len(present) != 1 or not arrays[present[0]].ndim:
        raise DataError(f"{path} is to hold one array {' or '.join(names)}; save it with numpy.savez(path, x=x, y=y)")
    return arrays[present[0]]


def _labels_path(path: Path) -> Path:
    """Returns the path of the labels of a file of images."""
    words = (("images", "labels"), ("Images", "Labels"), ("IMAGES", "LABELS"))
    by_word = [re.sub(r"idx\d", "idx1", path.name.replace(*pair)) for pair in words]
    by_letter = [re.sub(r"(?<![a-zA-Z])[xX](?![a-zA-Z])", letter, path.name) for letter in "yY"]
    names = [name for name in (*by_word, *by_letter) if name != path.name]
    candidates = [file for name in names for file in (name, f"{name}.gz", name.removesuffix(".gz"))]
    labels = next((path.with_name(file) for file in candidates if path.with_name(file).is_file()), None)
    if labels is None:
        usual = "the images called images.npy or x.npy and the labels labels.npy or y.npy"
        raise DataError(f"{path} needs its labels beside it, {f'as {names[0]}' if names else usual}")
    return labels
