"""Small real images in every kind of file: scikit-learn's handwritten digits."""

import gzip
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import polars
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from datamodules import ImageData

Bytes = NDArray[numpy.uint8]

CLASSES = 4


@cache
def digits(rows: int = 200) -> tuple[Bytes, NDArray[numpy.int64]]:
    """The digits 0 to 3 as bytes (N, 8, 8), and which they are (N,)."""
    x, y = load_digits(return_X_y=True)
    some = (y < CLASSES).nonzero()[0][:rows]
    return (x[some].reshape(-1, 8, 8) * 15).astype(numpy.uint8), y[some]


def write_folder(root: Path, x: Bytes, y: Sequence[object], ending: str = "png") -> str:
    """A folder per class."""
    for row, (pixels, label) in enumerate(zip(x, y, strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{row:04}.{ending}")
    return str(root)


def write_index(root: Path, x: Bytes, ending: str = "csv", **columns: Sequence[object]) -> str:
    """An index file of images in a folder beside it."""
    (root / "pictures").mkdir(parents=True, exist_ok=True)
    for row, pixels in enumerate(x):
        Image.fromarray(pixels).save(root / "pictures" / f"{row}.png")
    frame = polars.DataFrame({"path": [f"pictures/{row}.png" for row in range(len(x))], **columns})
    path = root / f"index.{ending}"
    frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    return str(path)


def idx(array: NDArray[numpy.uint8]) -> bytes:
    """IDX as it is written down."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(root: Path, x: Bytes, y: NDArray[numpy.int64], part: str = "train", packed: bool = False) -> str:
    """Images and labels as MNIST has them."""
    root.mkdir(parents=True, exist_ok=True)
    ending = ".gz" if packed else ""
    for name, array in (("images-idx3", x), ("labels-idx1", y.astype(numpy.uint8))):
        content = idx(array)
        (root / f"{part}-{name}-ubyte{ending}").write_bytes(gzip.compress(content) if packed else content)
    return str(root / f"{part}-images-idx3-ubyte{ending}")


def write_npz(path: Path, x: Bytes, y: NDArray[numpy.int64]) -> str:
    """Both in one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy.savez(path, images=x, labels=y)
    return str(path)


def made(path: str, **kwargs: Any) -> ImageData:
    """The data module of such files, set up."""
    data = ImageData(path, **kwargs)
    data.setup("fit")
    return data
