"""Texts whose label a few of their words say."""

from random import Random
from typing import Any

import polars

from datamodules import TextData

GOOD = ["lovely", "perfect fit", "so soft", "Flattering!", "great colour"]

BAD = ["scratchy", "too small", "it tore", "Returned.", "awful colour"]

FILLER = ["the dress", "this shirt", "I think", "it's", "and the fabric"]

PARTS = ["train"] * 4 + ["val", "test"]


def opinions(rows: int = 120, seed: int = 0) -> polars.DataFrame:
    """Texts of a few phrases, of which one says the label; a number of the writer."""
    random = Random(seed)
    label = [row % 2 for row in range(rows)]
    text = [
        " ".join(random.sample([*random.sample(FILLER, random.randrange(1, 5)), random.choice((BAD, GOOD)[one])], k=2))
        for one in label
    ]
    text = [
        f"{one} {random.choice((BAD, GOOD)[kind])} {row}"
        for row, (one, kind) in enumerate(zip(text, label, strict=True))
    ]
    return polars.DataFrame({"text": text, "label": label, "writer": [row // 4 for row in range(rows)]})


def made(path: str, **kwargs: Any) -> TextData:
    kwargs = {"text": "text", "target": "label"} | kwargs
    data = TextData(path, **kwargs)
    data.setup("fit")
    return data


def parted(texts: list[str | None], labels: list[int] | None = None) -> polars.DataFrame:
    """Six rows: four of train, one of val, one of test."""
    return polars.DataFrame({"text": texts, "label": labels or [0, 1, 0, 1, 0, 1], "part": PARTS})
