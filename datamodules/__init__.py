"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model.

Names are loaded when they are first asked for, so that raw rows become a model's inputs without Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "Adult": "bundled",
    "Augment": "imaging.augmentation",
    "BreastCancer": "bundled",
    "CaliforniaHousing": "bundled",
    "DataError": "errors",
    "DataModule": "base",
    "Diabetes": "bundled",
    "Digits": "bundled",
    "FashionMNIST": "bundled",
    "FrameData": "tables.base",
    "ImageData": "images",
    "JapaneseVowels": "bundled",
    "LabelledTexts": "texts.base",
    "MNIST1D": "bundled",
    "PixelData": "imaging.base",
    "Rows": "rows",
    "SequenceData": "sequences.base",
    "SeriesData": "series",
    "StreamedArrays": "streamed_arrays",
    "StreamedTable": "streamed_table",
    "TableData": "table",
    "TextData": "text",
    "UEA": "bundled",
    "WomensReviews": "bundled",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
