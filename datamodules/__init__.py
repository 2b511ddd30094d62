"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model."""

from datamodules.base import DataModule
from datamodules.bundled import MNIST1D, Adult, CaliforniaHousing, WomensReviews
from datamodules.errors import DataError
from datamodules.rows import Rows
from datamodules.table import TableData
from datamodules.tabular import FrameData
from datamodules.text import TextData
from datamodules.texts import LabelledTexts

__all__ = [
    "MNIST1D",
    "Adult",
    "CaliforniaHousing",
    "DataError",
    "DataModule",
    "FrameData",
    "LabelledTexts",
    "Rows",
    "TableData",
    "TextData",
    "WomensReviews",
]
