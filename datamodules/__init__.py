"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model."""

from datamodules.base import DataModule
from datamodules.bundled import MNIST1D, Adult, CaliforniaHousing
from datamodules.errors import DataError
from datamodules.rows import Rows
from datamodules.streamed_table import StreamedTable
from datamodules.table import TableData
from datamodules.tabular import FrameData

__all__ = [
    "MNIST1D",
    "Adult",
    "CaliforniaHousing",
    "DataError",
    "DataModule",
    "FrameData",
    "Rows",
    "StreamedTable",
    "TableData",
]
