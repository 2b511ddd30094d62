"""What a run keeps of its data: which row is in which part, and what they look like."""

import json
from pathlib import Path

import polars

from datamodules import DataModule
from datamodules.inspection import inspect


def write_data(folder: Path, data: DataModule) -> None:
    """Write ``inspection.json`` and ``split.parquet``, a row id and its part in each row.

    The split of streamed rows is never listed; it follows from the settings, and its fingerprint is in the record.
    """
    if data.split is not None:
        parts = [
            polars.DataFrame({"row": rows.numpy()}).with_columns(part=polars.lit(part))
            for part, rows in data.split._asdict().items()
        ]
        polars.concat(parts).write_parquet(folder / "split.parquet")
    (folder / "inspection.json").write_text(json.dumps(inspect(data).plain(), indent=2) + "\n")
