"""Rows of a typed CSVLogger, which Lightning deletes when a run is resumed."""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.utilities import rank_zero_only


@rank_zero_only
def keep_rows(loggers: list[Logger], steps: int) -> None:
    """Writes the rows of the earlier sessions again; those from a step on will be logged anew.

    Args:
        loggers: Of the Trainer, before it opens them.
        steps: Number of steps that the checkpoint has logged.
    """
    for logger in loggers:
        file = Path(logger.log_dir or "") / "metrics.csv"
        if not isinstance(logger, CSVLogger) or not file.is_file():
            continue
        with file.open(newline="", encoding="utf-8") as opened:
            rows: list[Any] = [row for row in csv.DictReader(opened) if int(row["step"]) < steps]
        writer = logger.experiment  # deletes the file
        writer.metrics = rows
        writer.save()
