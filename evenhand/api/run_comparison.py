"""``evenhand.compare``: the command ``evenhand compare`` as a function."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import polars

from experiments.compare.compared_runs import ComparedRuns, compare_runs
from experiments.compare.comparison_report import SORT_KEYS
from experiments.compare.table_formats import Sheet, to_html, to_markdown
from experiments.run.atomic_write import write_atomically
from experiments.terminal import escaped
from lit_models.errors import ConfigError

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Comparison:
    """Groups of runs that differ in their seeds alone, compared with the best one; a notebook shows them as tables."""

    compared: ComparedRuns
    metric: str | None = None  # as typed
    command: tuple[str, ...] = ()  # of the shell that compares the same

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

    def by(self, column: str, trust: Sequence[str] = ()) -> polars.DataFrame:
        """Returns a row for each group and slice of the test rows: the numbers of ``evenhand compare --by COLUMN``.

        Args:
            column: A column of the data, which are read again, ``row_length`` or ``target``.
            trust: Packages of your own that have the class of the data.

        Raises:
            ConfigError: For runs of several splits, an unknown column, or data that cannot be read again.
        """
        from experiments.compare.slice_report import sliced

        blocks = [block for block, _ in self.compared.best_first]
        rows = [row for block in blocks for row in sliced(block, column, self.metric, trust).rows]
        return polars.DataFrame(rows, infer_schema_length=None, strict=False)

    def write_html(self, path: Place) -> Path:
        """Writes the report of ``evenhand compare --html``, one file without scripts; returns its path."""
        from experiments.compare.report.html_report import html_report

        command = [*self.command, "--html", os.fspath(path)]
        write_atomically(Path(path), escaped(html_report(self.compared, [], command)).encode())
        return Path(path)

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
    ensemble: bool = False,
    margin: float | None = None,
    pairs: bool = False,
) -> Comparison:
    """Compares runs with statistics over seeds and test rows, as ``evenhand compare`` does.

    Args:
        runs: Runs that ``fit`` has returned, folders of runs or of experiments, or their root.
        metric: Metric to compare by; the task's own if left out.
        where: Settings that a run has to have, as in ``{"model.dropout": 0.1}``.
        sort: Order of the groups: metric, label, n, sd, parameters or seconds.
        ensemble: Score the mean of the predictions of each group's runs too.
        margin: Difference of the metric, above 0, within which it is tested whether groups are equal.
        pairs: Compare every pair of groups in place of each with the best.

    Raises:
        ConfigError: For a folder without a run, an unknown metric or order, and a setting that no run has.
    """
    if margin is not None and not 0 < margin < inf:
        raise ConfigError(f"margin is {margin!r}; it is a difference of the metric above 0, as .01")
    if ensemble and pairs:
        raise ConfigError("ensemble and pairs are two tables; leave one of them out")
    if sort not in SORT_KEYS:
        raise ConfigError(f"sort is {sort!r}, and it is one of {', '.join(SORT_KEYS)}")
    paths = [Path(path) for each in runs for path in ([each] if isinstance(each, str | os.PathLike) else each)]
    if not paths:
        raise ConfigError("there is nothing to compare; give runs, or folders of runs")
    conditions = [f"{name}={'null' if value is None else value}" for name, value in (where or {}).items()]
    words = ["evenhand", "compare", *map(str, paths), *(word for each in conditions for word in ("--where", each))]
    for option, value in (("margin", margin), ("metric", metric), ("sort", sort if sort != "metric" else None)):
        words += [] if value is None else [f"--{option}", str(value)]
    words += [f"--{option}" for option, typed in (("ensemble", ensemble), ("pairs", pairs)) if typed]
    compared = compare_runs(paths, metric, conditions, sort, ensemble, margin, pairs)
    return Comparison(compared, metric, tuple(words))


def _frame(sheet: Sheet) -> polars.DataFrame:
    return polars.DataFrame([[*row] for row in sheet.rows], schema=[*sheet.columns], orient="row")
