"""Runs as objects of Python: path, record, metrics, test predictions and predictor."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars

from experiments.run.record.record_io import read_record

if TYPE_CHECKING:
    from experiments.inference.predictor import Predictor


@dataclass(frozen=True)
class Run:
    """A run by its folder, as a path that ``load`` and ``compare`` take.

    Args:
        path: Folder of the run.
        trust: Packages or classes of the user that the run names.
    """

    path: Path
    trust: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @cached_property
    def record(self) -> dict[str, Any]:
        """``record.json``: status, metrics, data, split, versions, device and others."""
        return read_record(Path(self.path))

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics of the test rows, or of the validation rows if the run was not tested; NaN where undefined."""
        metrics: dict[str, float] = self.record.get("metrics") or self.record.get("validation") or {}
        return {name.removeprefix("test/"): value for name, value in metrics.items()}

    @cached_property
    def predictions(self) -> polars.DataFrame:
        """Predictions of the test rows with their ids and targets; raises ``OSError`` if the run was not tested."""
        return polars.read_parquet(Path(self.path) / "predictions.parquet")

    def load(self) -> "Predictor":
        """Returns the predictor of the best checkpoint."""
        from experiments.inference.predictor import load

        return load(self.path, trust=[*self.trust])


class Runs(list[Run]):
    """Runs of one call, in the order of their seeds; a notebook shows their metrics."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        super().__init__(runs)

    @property
    def metrics(self) -> polars.DataFrame:
        """Name, seed, status and metrics of each run, a row each."""
        rows = [
            {"run": run.path.name, "seed": run.record["seed"], "status": run.record["status"], **run.metrics}
            for run in self
        ]
        return polars.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        return self.metrics._repr_html_()
