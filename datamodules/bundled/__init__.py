"""Data sets that need no file of yours, one file each."""

from datamodules.bundled.adult import Adult
from datamodules.bundled.california import CaliforniaHousing
from datamodules.bundled.fashion_mnist import FashionMNIST
from datamodules.bundled.mnist1d import MNIST1D

__all__ = ["MNIST1D", "Adult", "CaliforniaHousing", "FashionMNIST"]
