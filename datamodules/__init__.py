"""Data sets as LightningDataModules: load, split, normalize, batch. Knows no model."""

from datamodules.base import DataModule, Rows
from datamodules.bundled import MNIST1D
from datamodules.errors import DataError

__all__ = ["MNIST1D", "DataError", "DataModule", "Rows"]
