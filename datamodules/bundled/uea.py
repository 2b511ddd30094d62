"""Series of the UCR, UEA and TSER archives (Dau et al. 2019, Bagnall et al. 2018, Tan et al. 2021)."""

from dataclasses import replace
from typing import Any, Literal

import polars
import torch

from datamodules.bundled.wheels import SKTIME, read_member
from datamodules.sequences.padded_series import join
from datamodules.sequences.sequence_data import SequenceData
from datamodules.sequences.ts_format import parse

Name = Literal[
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "Covid3Month",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "PLAID",
    "Tecator",
]
"""Data sets in the wheel. Covid3Month and Tecator are regression."""


class UEA(SequenceData):
    """Data set of the archives, with its official train and test splits.

    Args:
        name: Name of the data set.
        pooled: Split all series, instead of testing on the official test split.
    """

    def __init__(self, name: Name, pooled: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        files = [f"sktime/datasets/data/{name}/{name}_{split}.ts" for split in ("TRAIN", "TEST")]
        train, test = (parse(read_member(SKTIME, file), file) for file in files)
        series = replace(join([train, test], files), targets=polars.concat([train.targets, test.targets]))
        self.take(series, test=None if pooled else torch.arange(len(train.x), len(series.x)))
