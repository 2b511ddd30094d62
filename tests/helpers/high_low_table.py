"""Table of two numbers and a label, ``high`` where the first number is positive and else ``low``."""

from pathlib import Path

import numpy
import polars


def table(rows: int, seed: int = 0) -> polars.DataFrame:
    draw = numpy.random.default_rng(seed)
    x = draw.normal(size=rows)
    return polars.DataFrame({"x": x, "z": draw.normal(size=rows), "label": numpy.where(x > 0, "high", "low")})


def write(frame: polars.DataFrame, path: Path) -> str:
    """Writes a frame as CSV or Parquet, by the ending of the path, into a folder that it makes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return str(path)
