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
    from datamodules.imaging.augmentation import Augment
    from datamodules.imaging.image_data import ImageData
    from datamodules.imaging.pixel_data import PixelData
    from datamodules.in_memory import InMemoryData
    from datamodules.raw_data import Rows
    from datamodules.sequences.sequence_data import SequenceData
    from datamodules.sequences.series_data import SeriesData
    from datamodules.streaming.stream_data import StreamData
    from datamodules.streaming.streamed_arrays import StreamedArrays
    from datamodules.streaming.streamed_table import StreamedTable
    from datamodules.tables.frame_data import FrameData
    from datamodules.tables.table_data import TableData
    from datamodules.texts.labelled_texts import LabelledTexts
    from datamodules.texts.text_data import TextData

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
    "InMemoryData",
    "JapaneseVowels",
    "LabelledTexts",
    "PixelData",
    "Rows",
    "SequenceData",
    "SeriesData",
    "StreamData",
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
    "FrameData": "tables.frame_data",
    "ImageData": "imaging.image_data",
    "InMemoryData": "in_memory",
    "JapaneseVowels": "bundled",
    "LabelledTexts": "texts.labelled_texts",
    "MNIST1D": "bundled",
    "PixelData": "imaging.pixel_data",
    "Rows": "raw_data",
    "SequenceData": "sequences.sequence_data",
    "SeriesData": "sequences.series_data",
    "StreamData": "streaming.stream_data",
    "StreamedArrays": "streaming.streamed_arrays",
    "StreamedTable": "streaming.streamed_table",
    "TableData": "tables.table_data",
    "TextData": "texts.text_data",
    "UEA": "bundled",
    "WomensReviews": "bundled",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
