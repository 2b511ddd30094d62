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
from datamodules.imaging.base import PixelData
from datamodules.rows import Rows
from datamodules.sequences.base import SequenceData
from datamodules.series import SeriesData
from datamodules.streamed_arrays import StreamedArrays
from datamodules.streamed_table import StreamedTable
from datamodules.table import TableData
from datamodules.tables.base import FrameData
from datamodules.text import TextData
from datamodules.texts.base import LabelledTexts

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
    "StreamedArrays",
    "StreamedTable",
    "TableData",
    "TextData",
    "WomensReviews",
]
