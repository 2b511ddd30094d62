"""Comparison of the runs in some folders: what ``evenhand compare`` prints, and ``evenhand.compare`` returns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.compare import comparison, comparison_report
from experiments.compare.argument_defaults import with_defaults
from experiments.compare.comparison_report import Compared
from experiments.compare.filter_runs import select
from experiments.compare.groups import Block, blocks_of, unlike
from experiments.compare.load_runs import LeftOut, Run, once_per_seed, read_runs
from experiments.compare.method_notes import method_notes
from experiments.compare.same_rows import with_inputs
from experiments.compare.scoring import Score, score
from experiments.compare.table_formats import Sheet
from lit_models.errors import ConfigError


@dataclass(frozen=True)
class ComparedRuns:
    """Groups of comparable runs, in blocks that are not comparable with each other."""

    best_first: list[Compared]
    sort: str
    left_out: list[LeftOut]

    @property
    def blocks(self) -> list[Compared]:
        """Each block with its groups in the order of ``sort``."""
        key = comparison_report.SORT_KEYS[self.sort]
        return [(block, sorted(standings, key=key)) for block, standings in self.best_first]

    def sheets(self) -> list[Sheet]:
        """Returns a table of each block, with a row for each group."""
        reports = zip(self.blocks, self._positions(), self._reasons(), strict=True)
        return [comparison_report.sheet(*report) for report in reports]

    def changes(self) -> list[Sheet]:
        """Returns a table of each block, with a row for each setting that differs between its groups."""
        return [comparison_report.changes(*each) for each in zip(self.blocks, self._positions(), strict=True)]

    def content(self) -> dict[str, Any]:
        """Returns the blocks as plain values."""
        blocks = zip(self.blocks, self._reasons(), self.best_first, strict=True)
        return {
            "blocks": [
                comparison_report.plain(compared, reason) | {"checks": method_notes(*best_first)}
                for compared, reason, best_first in blocks
            ]
        }

    def checks(self) -> list[str]:
        """Returns the notes on the method of every block."""
        return [line for compared in self.best_first for line in method_notes(*compared)]

    def rows(self) -> list[dict[str, Any]]:
        """Returns the numbers of each group, all blocks one below another."""
        return [
            {"block": index, "data": block.data, "metric": block.metric, **row}
            for index, (block, standings) in enumerate(self.blocks, start=1)
            for standing in standings
            for row in comparison_report.flat_rows(standing)
        ]

    def _positions(self) -> list[int]:
        return [*range(1, len(self.best_first) + 1)] if len(self.best_first) > 1 else [0] * len(self.best_first)

    def _reasons(self) -> list[str]:
        """Returns why each block is not compared with the first one; empty for that one."""
        blocks = [block for block, _ in self.best_first]
        return ["", *(unlike(blocks[0], block) for block in blocks[1:])] if blocks else []


def compare_runs(
    paths: Iterable[Path],
    metric: str | None = None,
    where: Sequence[str] = (),
    sort: str = "metric",
    ensemble: bool = False,
) -> ComparedRuns:
    """Reads the runs at or below the paths, groups them by their settings and compares the groups.

    With ``ensemble`` the mean of the predictions of a group's runs is scored too. Raises ``ConfigError`` as
    ``read_blocks`` does, and if no group has several runs to average.
    """
    blocks, scores, left = read_blocks(paths, metric, where)
    best_first = [(block, comparison.compare(block, scores, ensemble)) for block in blocks]
    if ensemble and not any(standing.ensemble for _, standings in best_first for standing in standings):
        raise ConfigError(
            "--ensemble averages the predictions of a group's runs on a split, and no group here has several; train "
            "it with more seeds, or leave --ensemble out"
        )
    return ComparedRuns(best_first, sort, left)


def read_blocks(
    paths: Iterable[Path], metric: str | None, where: Sequence[str]
) -> tuple[list[Block], dict[Run, Score], list[LeftOut]]:
    """Reads the runs at or below the paths; returns them in blocks of groups, their scores, and those left out.

    Raises ``ConfigError`` for a path without a run, a metric that no run has, and a ``NAME=VALUE`` of ``where`` that no
    run fits.
    """
    runs, left = read_runs(paths)
    selected = with_inputs(select(with_defaults(runs), list(where)))
    scores, unscored = score(selected, metric)
    runs, repeated = once_per_seed(scores)
    return blocks_of(runs, metric), scores, left + unscored + repeated
