"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking")."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.cache import cache_folder
from datamodules.errors import DataError
from datamodules.imaging.idx import parse_idx, unpacked
from datamodules.imaging.pixel_data import PixelData
from datamodules.regular_file import read_regular
from datamodules.tables.targets import Target

PACKAGED = Path("/usr/share/datasets/fashion-mnist")
"""Folder of Debian's package ``dataset-fashion-mnist``."""

FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""Original files, and SHA-256 of their uncompressed content."""

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


class FashionMNIST(PixelData):
    """70,000 images of clothing, 28 x 28 in grey, in 10 classes.

    Args:
        pooled: Split all rows by ``ratios``, instead of testing on the official 10,000 test rows.
    """

    def __init__(self, pooled: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        train_x, train_y, test_x, test_y = (_read(name, sha256) for name, sha256 in FILES.items())
        images = torch.cat([train_x, test_x]).unsqueeze(1)
        target = Target(torch.cat([train_y, test_y]).long(), "multiclass", len(CLASSES), CLASSES)
        self.take(images, target, test=None if pooled else torch.arange(len(train_x), len(images)))


def _read(name: str, sha256: str) -> Tensor:
    """Reads a file from the cache folder or Debian's, compressed by gzip or not."""
    own = cache_folder() / "fashion-mnist"
    candidates = (folder / file for folder in (own, PACKAGED) for file in (f"{name}.gz", name))
    path = next((file for file in candidates if file.is_file()), None)
    if path is None:
        raise DataError(
            f"Fashion-MNIST is not here; install the Debian package dataset-fashion-mnist, or put its original files "
            f"({', '.join(f'{file}.gz' for file in FILES)}) into {own}"
        )
    content = unpacked(read_regular(path, "correct its permissions or fetch it again"), str(path))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} is not the original file of Fashion-MNIST, its SHA-256 is another; delete it")
    return torch.from_numpy(parse_idx(content, str(path)))
