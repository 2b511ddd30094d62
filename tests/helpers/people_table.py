"""A table of people, with a column of every kind."""

import datetime
from random import Random

import polars

from datamodules import TableData


def people(rows: int = 120, seed: int = 0) -> polars.DataFrame:
    """Rows with numbers, a date, categories with missing ones, and a label that follows from age and city."""
    random = Random(seed)
    age = [random.choice([None, *range(18, 80)]) for _ in range(rows)]
    city = [random.choice(["Rome", "Oslo", "Lima", None]) for _ in range(rows)]
    return polars.DataFrame(
        {
            "id": [f"u{row}" for row in range(rows)],
            "age": age,
            "city": city,
            "member": [random.random() < 0.5 for _ in range(rows)],
            "joined": [datetime.date(2020, 1, 1) + datetime.timedelta(random.randrange(900)) for _ in range(rows)],
            "income": [random.gauss(3e4, 1e4) for _ in range(rows)],
            "label": ["yes" if (a or 48) > 48 or c == "Oslo" else "no" for a, c in zip(age, city, strict=True)],
        }
    )


def made(path: str, target: str | list[str] = "label", **kwargs) -> TableData:
    data = TableData(path, target, **kwargs)
    data.setup("fit")
    return data
