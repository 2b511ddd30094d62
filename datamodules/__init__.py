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
    JapaneseVowels,
)
from datamodules.errors import DataError
from datamodules.rows import Rows
from datamodules.sequences import SequenceData
from datamodules.series import SeriesData
from datamodules.table import TableData
from datamodules.tabular import FrameData

__all__ = [
    "MNIST1D",
    "UEA",
    "Adult",
    "BreastCancer",
    "CaliforniaHousing",
    "DataError",
    "DataModule",
    "Diabetes",
    "Digits",
    "FrameData",
    "JapaneseVowels",
    "Rows",
    "SequenceData",
    "SeriesData",
    "TableData",
]
