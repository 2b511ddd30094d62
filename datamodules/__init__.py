"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model."""

from datamodules.base import DataModule
from datamodules.bundled import MNIST1D, Adult, CaliforniaHousing, FashionMNIST
from datamodules.errors import DataError
from datamodules.images import ImageData
from datamodules.imaging.augmentation import Augment
from datamodules.pixels import PixelData
from datamodules.rows import Rows
from datamodules.table import TableData
from datamodules.tabular import FrameData

__all__ = [
    "MNIST1D",
    "Adult",
    "Augment",
    "CaliforniaHousing",
    "DataError",
    "DataModule",
    "FashionMNIST",
    "FrameData",
    "ImageData",
    "PixelData",
    "Rows",
    "TableData",
]
