"""``evenhand.compare``: the command ``evenhand compare`` as a function."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars

from experiments.compare.compared_runs import ComparedRuns, compare_runs
from experiments.compare.comparison_report import SORT_KEYS
from experiments.compare.table_formats import Sheet, to_html, to_markdown
from experiments.terminal import escaped
from lit_models.errors import ConfigError

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Comparison:
    """Groups of runs that differ in their seeds alone, compared with the best one; a notebook shows them as tables."""

    compared: ComparedRuns

    @cached_property
    def frame(self) -> polars.DataFrame:
        """A row for each group: the numbers that ``evenhand compare --format csv`` prints, null where undefined."""
        return polars.DataFrame(self.compared.rows(), infer_schema_length=None, strict=False)

    @cached_property
    def changes(self) -> list[polars.DataFrame]:
        """For each block of comparable runs, a row for each setting that differs, and a column for each group."""
        return [_frame(sheet) for sheet in self.compared.changes()]

    @cached_property
    def left_out(self) -> polars.DataFrame:
        """Runs that are not compared, with the reason."""
        rows = [(str(run.path), run.reason) for run in self.compared.left_out]
        return polars.DataFrame(rows, schema={"run": polars.String, "reason": polars.String}, orient="row")

    def __repr__(self) -> str:
        return escaped("\n".join(map(to_markdown, self._sheets())))

    def _repr_html_(self) -> str:
        return "\n".join(map(to_html, self._sheets()))

    def _sheets(self) -> list[Sheet]:
        sheets, rows = self.compared.sheets(), self.left_out.rows()
        number = f"{len(rows)} run{'s' * (len(rows) > 1)} left out"
        return [*sheets, Sheet(number, self.left_out.columns, rows, texts=(0, 1))] if rows else sheets


def compare(
    *runs: Place | Iterable[Place],
    metric: str | None = None,
    where: Mapping[str, Any] | None = None,
    sort: str = "metric",
) -> Comparison:
    """Compares runs with statistics over seeds and test rows, as ``evenhand compare`` does.

    Args:
        runs: Runs that ``fit`` has returned, folders of runs or of experiments, or their root.
        metric: Metric to compare by; the task's own if left out.
        where: Settings that a run has to have, as in ``{"model.dropout": 0.1}``.
        sort: Order of the groups: metric, label, n, sd, parameters or seconds.

    Raises:
        ConfigError: For a folder without a run, an unknown metric or order, and a setting that no run has.
    """
    if sort not in SORT_KEYS:
        raise ConfigError(f"sort is {sort!r}, and it is one of {', '.join(SORT_KEYS)}")
    paths = [Path(path) for each in runs for path in ([each] if isinstance(each, str | os.PathLike) else each)]
    if not paths:
        raise ConfigError("there is nothing to compare; give runs, or folders of runs")
    conditions = [f"{name}={'null' if value is None else value}" for name, value in (where or {}).items()]
    return Comparison(compare_runs(paths, metric, conditions, sort))


def _frame(sheet: Sheet) -> polars.DataFrame:
    return polars.DataFrame([[*row] for row in sheet.rows], schema=[*sheet.columns], orient="row")
