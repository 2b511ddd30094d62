"""What a run keeps of its data: which row is in which part, and what they look like."""

import json
from pathlib import Path

import polars

from datamodules import DataModule
from datamodules.inspection import inspect
from datamodules.splitting.splits import PARTS


def write_data(folder: Path, data: DataModule) -> None:
    """Write ``split.parquet``, a row id and its part in each row, and ``inspection.json``."""
    parts = [
        polars.DataFrame({"row": getattr(data.split, part).numpy()}).with_columns(part=polars.lit(part))
        for part in PARTS
    ]
    polars.concat(parts).write_parquet(folder / "split.parquet")
    (folder / "inspection.json").write_text(json.dumps(inspect(data).plain(), indent=2) + "\n")
