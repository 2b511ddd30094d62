"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model."""

from datamodules.base import DataModule
from datamodules.bundled import (
    MNIST1D,
    UEA,
    Adult,
    BreastCancer,
    CaliforniaHousing,
    Diabetes,
    Digits,
    FashionMNIST,
    JapaneseVowels,
    WomensReviews,
)
from datamodules.errors import DataError
from datamodules.images import ImageData
from datamodules.imaging.augmentation import Augment
from datamodules.pixels import PixelData
from datamodules.rows import Rows
from datamodules.sequences import SequenceData
from datamodules.series import SeriesData
from datamodules.table import TableData
from datamodules.tabular import FrameData
from datamodules.text import TextData
from datamodules.texts import LabelledTexts

__all__ = [
    "MNIST1D",
    "UEA",
    "Adult",
    "Augment",
    "BreastCancer",
    "CaliforniaHousing",
    "DataError",
    "DataModule",
    "Diabetes",
    "Digits",
    "FashionMNIST",
    "FrameData",
    "ImageData",
    "JapaneseVowels",
    "LabelledTexts",
    "PixelData",
    "Rows",
    "SequenceData",
    "SeriesData",
    "TableData",
    "TextData",
    "WomensReviews",
]
