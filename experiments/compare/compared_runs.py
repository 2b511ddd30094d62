"""Comparison of the runs in some folders: what ``evenhand compare`` prints, and ``evenhand.compare`` returns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.compare import comparison_report
from experiments.compare.argument_defaults import with_defaults
from experiments.compare.comparison import Comparison
from experiments.compare.comparison_report import Compared
from experiments.compare.data_sets import DataSets, data_sets
from experiments.compare.filter_runs import select
from experiments.compare.groups import Block, blocks_of, unlike
from experiments.compare.load_runs import LeftOut, Run, once_per_seed, read_runs
from experiments.compare.look_count import LookCount, Looks
from experiments.compare.method_notes import method_notes
from experiments.compare.pair_report import Pair, pair_sheet, pairs_of, plain_pair
from experiments.compare.same_rows import with_inputs
from experiments.compare.scoring import Score, score
from experiments.compare.table_formats import Sheet
from lit_models.errors import ConfigError


@dataclass(frozen=True)
class ComparedRuns:
    """Groups of comparable runs, in blocks that are not comparable with each other."""

    comparisons: list[Comparison]
    best_first: list[Compared]
    sort: str
    left_out: list[LeftOut]
    looks: list[LookCount]  # at the test rows of each block
    margin: float | None = None  # within which groups are equal
    shows_pairs: bool = False  # tables of pairs in place of those of groups

    @property
    def blocks(self) -> list[Compared]:
        """Each block with its groups in the order of ``sort``."""
        key = comparison_report.SORT_KEYS[self.sort]
        return [(block, sorted(standings, key=key)) for block, standings in self.best_first]

    def sheets(self) -> list[Sheet]:
        """Returns a table of each block, with a row for each group, or for each pair."""
        if not self.shows_pairs:
            return self.group_sheets
        reports = zip(self.blocks, self.looks, self._positions(), self.pairs, strict=True)
        return [
            pair_sheet(pairs, comparison_report.heading(compared[0], position), notes, self.margin)
            for compared, looks, position, pairs in reports
            for notes in [comparison_report.notes(compared, looks)]
        ]

    @cached_property
    def group_sheets(self) -> list[Sheet]:
        """A table of each block, with a row for each group."""
        reports = zip(self.blocks, self.looks, self._positions(), self._reasons(), strict=True)
        return [comparison_report.sheet(*report, self.margin) for report in reports]

    @cached_property
    def pairs(self) -> list[list[Pair]]:
        """Every pair of groups of each block, which reads the predictions again."""
        return [pairs_of(each) for each in self.comparisons]

    def changes(self) -> list[Sheet]:
        """Returns a table of each block, with a row for each setting that differs between its groups."""
        return [comparison_report.changes(*each) for each in zip(self.blocks, self._positions(), strict=True)]

    def content(self) -> dict[str, Any]:
        """Returns the blocks as plain values."""
        reports = zip(self.blocks, self.looks, self._reasons(), strict=True)
        blocks = [comparison_report.plain(*report, self.margin) for report in reports]
        for block, notes in zip(blocks, self.checks_of_blocks, strict=True):
            block["checks"] = notes
        for block, pairs in zip(blocks, self.pairs, strict=True) if self.shows_pairs else ():
            block["pairs"] = [*map(plain_pair, pairs)]
        return {"blocks": blocks}

    def checks(self) -> list[str]:
        """Returns the notes on the method of every block."""
        return [line for notes in self.checks_of_blocks for line in notes]

    @cached_property
    def checks_of_blocks(self) -> list[list[str]]:
        """The notes on the method of each block, which permute its runs."""
        return [method_notes(*compared) for compared in self.best_first]

    @cached_property
    def data_sets(self) -> DataSets | None:
        """Groups over several data sets, with their average ranks; None where there is one data set."""
        return data_sets(self.best_first)

    def rows(self) -> list[dict[str, Any]]:
        """Returns the numbers of each group, or each pair, all blocks one below another."""
        rows = []
        for index, ((block, standings), looks) in enumerate(zip(self.blocks, self.looks, strict=True)):
            names = {"block": index + 1, "data": block.data, "metric": block.metric}
            names |= {"test_looks": looks.total, "optimism": looks.plain()["optimism"]}
            if not self.shows_pairs:
                numbers = [row for standing in standings for row in comparison_report.flat_rows(standing)]
            else:
                numbers = [*map(plain_pair, self.pairs[index])]
            rows += [names | row for row in numbers]
        return rows

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
    margin: float | None = None,
    pairs: bool = False,
) -> ComparedRuns:
    """Reads the runs at or below the paths, groups them by their settings and compares the groups.

    With ``ensemble`` the mean of the predictions of a group's runs is scored too, with ``margin`` it is tested whether
    groups are equal within it, and with ``pairs`` every pair is compared. Raises ``ConfigError`` as ``read_blocks``
    does, and if no group has several runs to average.
    """
    blocks, scores, left = read_blocks(paths, metric, where)
    comparisons = [Comparison(block, scores, ensemble, margin) for block in blocks]
    best_first = [(each.block, each.standings()) for each in comparisons]
    if ensemble and not any(standing.ensemble for _, standings in best_first for standing in standings):
        raise ConfigError(
            "--ensemble averages the predictions of a group's runs on a split, and no group here has several; train "
            "it with more seeds, or leave --ensemble out"
        )
    looks = Looks.read([*(run.path for run in scores), *(run.path for run in left)])
    counts = [
        looks.at(block, [score for standing in standings for score in standing.scores])
        for block, standings in best_first
    ]
    return ComparedRuns(comparisons, best_first, sort, left, counts, margin, pairs)


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
