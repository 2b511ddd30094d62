"""Checks of method of a comparison, as lines to print below its table."""

from collections.abc import Mapping, Sequence

import numpy

from experiments.compare.comparison import LEVEL, Standing, compare
from experiments.compare.groups import Block
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score, score
from experiments.compare.statistics.permutation import permutation
from experiments.run.record.method_checks import (
    LINEAR,
    floor_is_better,
    linear_is_level,
    lines_of_groups,
    too_few_test_rows,
)


def method_notes(block: Block, standings: Sequence[Standing]) -> list[str]:
    """Returns lines on the method of a block's runs and on their comparison, best group first; none if all is well."""
    ranked = sorted(standings, key=lambda each: each.verdict not in ("best", "nothing to compare with"))
    best, others = ranked[0], ranked[1:]
    networks = [each for each in standings if each.parameters and _model(each) not in LINEAR]
    linear = [each for each in standings if _model(each) in LINEAR]
    lines, printed = [], ""
    if networks and not best.parameters and networks[0].verdict == "worse":
        values, printed = (networks[0].group.label, networks[0].estimate.mean), "floor"
        lines.append(floor_is_better(block.metric, best.group.label, best.estimate.mean, *values))
    elif networks and linear and linear[0] is best and networks[0].verdict in ("worse", "no difference shown"):
        lines.append(linear_is_level(best.group.label, networks[0].group.label))
    elif networks and networks[0] is best and linear and linear[0].verdict == "no difference shown":
        lines.append(linear_is_level(linear[0].group.label, best.group.label))
    lines += [line for each in others[:1] if (line := _hidden_by_rows(block, best, each))]
    return [*_lines_of_runs(block, printed), *lines]


def method_notes_of(blocks: Sequence[Block]) -> list[str]:
    """Returns the lines of blocks by the metric that ranks their runs; a block with unusable runs is not compared."""
    scores, _ = score([run for block in blocks for group in block.groups for run in group.runs], None)
    return [line for block in blocks for line in _notes_if_scored(block, scores)]


def _notes_if_scored(block: Block, scores: Mapping[Run, Score]) -> list[str]:
    runs = [run for group in block.groups for run in group.runs]
    if all(run in scores for run in runs):
        return method_notes(block, compare(block, scores))
    return _lines_of_runs(block)


def _lines_of_runs(block: Block, without: str = "") -> list[str]:
    return lines_of_groups(((group.label, [run.checks for run in group.runs]) for group in block.groups), without)


def _hidden_by_rows(block: Block, best: Standing, other: Standing) -> str:
    """Returns a line if the runs alone tell two groups apart, and no longer once the test rows may be others."""
    difference, rows = other.difference, block.groups[0].runs[0].rows["test"]
    if other.verdict != "no difference shown" or not other.margin > abs(difference) > 0:
        return ""
    samples = [
        [numpy.array([each.value for each in side.scores if each.run.split == split]) for split in block.splits]
        for side in (other, best)
    ]
    if permutation(*samples).p >= LEVEL:
        return ""
    needed = int(numpy.ceil(rows * (other.margin / difference) ** 2))
    return too_few_test_rows(other.group.label, best.group.label, difference, rows, needed)


def _model(standing: Standing) -> str:
    return str(standing.group.settings["model"])
