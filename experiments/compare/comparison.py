"""A block's groups with their statistics, and in words how each stands to the best."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy
from numpy.typing import NDArray

from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics import student_t
from experiments.compare.statistics.pairwise_tests import Estimate, Pairs, estimate, holm, pairwise
from experiments.compare.statistics.permutation import permutation
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]

LEVEL = 0.05
FEWEST_ROWS = 6
"""With fewer test rows, flipping the sign of every row's difference in all ways cannot give p < 0.05."""


@dataclass(frozen=True)
class Standing:
    """A group, and what can be said of it.

    Args:
        group: Its runs and label.
        scores: Of its runs, best first.
        estimate: Of the metric.
        difference: Of its mean to the best group's; 0 for the best itself.
        margin: Half the 95 % interval of the difference over seeds and test rows, not corrected for choosing the best.
        p: Of the claim that the best is better, corrected; NaN where so few seeds tell nothing.
        verdict: ``best``, or what the best is: ``better``, ``no difference shown``, ``too few seeds to tell (...)``.
    """

    group: Group
    scores: list[Score]
    estimate: Estimate
    difference: float
    margin: float
    p: float
    verdict: str

    @property
    def best(self) -> Score:
        """The run with the best value."""
        return self.scores[0]

    @property
    def median(self) -> Score:
        """The run in the middle; the worse of two."""
        return self.scores[len(self.scores) // 2]

    @property
    def seconds(self) -> float:
        """The mean over runs."""
        return fmean(score.run.seconds for score in self.scores)

    @property
    def parameters(self) -> int:
        """Of the runs, the most where they differ."""
        return max(score.run.parameters for score in self.scores)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The mean over runs of all the task's metrics."""
        return {name: fmean(score.metrics[name] for score in self.scores) for name in self.scores[0].metrics}


def compare(block: Block, scores: Mapping[Run, Score]) -> list[Standing]:
    """Groups of a block, best first by their means; those with an undefined value last.

    The best is ``better`` than a group where two tests agree. One is of the difference over seeds and test rows, Holm's
    correction over all pairs of groups: the best is chosen by looking, so any pair might have been the one. The other
    is a permutation of the runs, exact for any distribution over seeds; it is what few seeds cannot pass.
    """
    sign = -1 if MEASURES[block.task][block.metric].lower_is_better else 1
    samples = [[_values(group, split, scores) for split in block.splits] for group in block.groups]
    one = block.groups[0].runs[0]
    ratio = one.rows["test"] / max(one.rows["train"], 1)
    estimates = [estimate(sample, ratio) for sample in samples]
    order = sorted(range(len(samples)), key=lambda at: _last_if_nan(-sign * estimates[at].mean))
    pairs = pairwise(samples, one.rows["test"], ratio)
    corrected = _corrected(pairs)
    best = order[0]
    margins = _margins(pairs, best)
    found = []
    for at in order:
        p, verdict = numpy.nan, "best"
        if at != best:
            between = permutation(*([split[:, 0] for split in samples[index]] for index in (best, at)))
            p = max(corrected[best, at], between.p) if not numpy.isnan(corrected[best, at]) else numpy.nan
            counts = [len(block.groups[index].runs) for index in (best, at)]
            verdict = _verdict(estimates[at].mean, p, between.smallest, counts, one.rows["test"])
            p = p if verdict in ("better", "no difference shown") else numpy.nan
        elif numpy.isnan(estimates[at].mean):
            verdict = "undefined"
        elif len(order) == 1:
            verdict = "nothing to compare with"
        ranked = sorted((scores[run] for run in block.groups[at].runs), key=lambda s: _last_if_nan(-sign * s.value))
        difference = float(pairs.difference[at, best])
        found.append(Standing(block.groups[at], ranked, estimates[at], difference, float(margins[at]), p, verdict))
    return found


def _verdict(mean: float, p: float, smallest: float, counts: list[int], rows: int) -> str:
    if numpy.isnan(mean):
        return "undefined"
    if smallest >= LEVEL or numpy.isnan(p):
        n = " and ".join(map(str, dict.fromkeys(counts)))
        return f"too few seeds to tell (n = {n} cannot reach p < {LEVEL})"
    if rows < FEWEST_ROWS:
        return f"too few test rows to tell ({rows} cannot reach p < {LEVEL})"
    return "better" if p < LEVEL else "no difference shown"


def _values(group: Group, split: str, scores: Mapping[Run, Score]) -> Array:
    return numpy.array([scores[run].values for run in group.runs if run.split == split])


def _corrected(pairs: Pairs) -> Array:
    corrected = numpy.full_like(pairs.p, numpy.nan)
    upper = numpy.triu_indices(len(pairs.p), k=1)
    corrected[upper] = holm(pairs.p[upper])
    both: Array = numpy.fmax(corrected, corrected.T)
    return both


def _margins(pairs: Pairs, best: int) -> Array:
    margins: Array = pairs.error[best].copy()
    told = ~numpy.isnan(margins)
    margins[told] *= student_t.quantile(pairs.df[best][told])
    return margins


def _last_if_nan(value: float) -> float:
    return numpy.inf if numpy.isnan(value) else value
