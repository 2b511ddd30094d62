"""Report of every pair of groups: ``evenhand compare --pairs``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.compare.comparison import Comparison, Versus
from experiments.compare.groups import Group
from experiments.compare.load_runs import Run
from experiments.compare.read_predictions import read_predictions
from experiments.compare.table_formats import Sheet, number
from experiments.compare.verdict_text import difference_interval, meanings, plain_versus, verdict_text
from lit_models.metrics.classification_metrics import predicted_class
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]


@dataclass(frozen=True)
class Flips:
    """Test rows whose answer differs in correctness, on average over pairs of runs of two groups on a split."""

    to_wrong: float  # right in the better group, wrong in the other
    to_right: float  # wrong in the better group, right in the other


@dataclass(frozen=True)
class Pair:
    """A group against a better one."""

    better: Group
    other: Group
    versus: Versus
    flips: Flips | None  # None for a task without right and wrong rows


def pairs_of(comparison: Comparison) -> list[Pair]:
    """Compares every pair of groups, the better one of each first; reads the predictions of their runs again.

    The difference of the flips over the number of rows is the difference of the mean accuracies.
    """
    right = {id(group): _fraction_right(group, comparison.block.splits) for group in comparison.block.groups}
    pairs = []
    for better, other, versus in comparison.every_pair():
        flips = _flips(right[id(better)], right[id(other)])
        pairs.append(Pair(better, other, versus, flips))
    return pairs


def _fraction_right(group: Group, splits: Sequence[str]) -> list[Array]:
    """Returns for each split the fraction of a group's runs that are right on each test row (N,); empty without."""
    if "accuracy" not in MEASURES[group.runs[0].task]:
        return []
    of_splits = [[_right(run) for run in group.runs if run.split == split] for split in splits]
    return [numpy.mean(runs, axis=0) for runs in of_splits]


def _right(run: Run) -> NDArray[numpy.bool_]:
    predictions = read_predictions(run.path, run.task)
    right: NDArray[numpy.bool_] = predicted_class(predictions.prediction, run.threshold) == predictions.target
    return right


def _flips(better: list[Array], other: list[Array]) -> Flips | None:
    if not better:
        return None
    both = [*zip(better, other, strict=True)]
    to_wrong, to_right = ([(a * (1 - b)).sum() for a, b in each] for each in (both, [(b, a) for a, b in both]))
    return Flips(float(numpy.mean(to_wrong)), float(numpy.mean(to_right)))


def pair_sheet(pairs: Sequence[Pair], title: str, notes: Sequence[str], margin: float | None) -> Sheet:
    """Returns a table with a row for each pair; flips have their columns where rows are right or wrong."""
    cells: dict[str, Callable[[Pair], str]] = {
        "group": lambda pair: pair.other.label,
        "against": lambda pair: pair.better.label,
        "difference": lambda pair: number(pair.versus.difference),
        "interval of the difference": lambda pair: difference_interval(pair.versus) or "–",
    }
    if any(pair.flips is not None for pair in pairs):
        cells["right to wrong"] = lambda pair: f"{pair.flips.to_wrong:,.1f}" if pair.flips else "–"
        cells["wrong to right"] = lambda pair: f"{pair.flips.to_right:,.1f}" if pair.flips else "–"
    cells["verdict"] = lambda pair: verdict_text(pair.versus, margin)
    rows = [[cell(pair) for cell in cells.values()] for pair in pairs]
    sentences = ["Rows that flip from the second column to the first, on average over pairs of runs."] * (
        len(cells) > 5
    )
    sentences = [*sentences, *notes, *meanings([pair.versus for pair in pairs], margin)]
    return Sheet(title, [*cells], rows, [*dict.fromkeys(sentences)], texts=(0, 1, len(cells) - 1), is_divisible=True)


def plain_pair(pair: Pair) -> dict[str, Any]:
    """Returns a pair for JSON or a line of CSV."""
    flips = pair.flips
    return {
        "group": pair.other.label,
        "against": pair.better.label,
        **plain_versus(pair.versus),
        "right_to_wrong": flips and flips.to_wrong,
        "wrong_to_right": flips and flips.to_right,
    }
