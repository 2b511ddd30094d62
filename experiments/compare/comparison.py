"""Statistics of a block's groups, and a verdict on each group against the best, or on every pair."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean

import numpy
from numpy.typing import NDArray

from experiments.compare.ensembles import Ensemble, ensemble
from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics import student_t
from experiments.compare.statistics.equivalence import tost
from experiments.compare.statistics.pairwise_tests import MIN_UNITS, Estimate, Sample, estimate, holm, pairwise
from experiments.compare.statistics.permutation import permutation
from experiments.compare.statistics.power import Requirement, requirement
from lit_models.metrics.task_metrics import MEASURES

LEVEL = 0.05
Array = NDArray[numpy.float64]
ENOUGH_SEEDS = 4
"""Seeds of two groups with which permutations of their runs can reach p < 0.05."""
MIN_ROWS = 6
"""With fewer test rows, no sign flips of the rows' differences can reach p < 0.05."""


@dataclass(frozen=True)
class Versus:
    """Comparison of a group with another one, whose mean is better or the same."""

    difference: float  # mean minus the better group's mean
    margin: float  # half the difference's 95 % interval, corrected as p is; NaN where a group has fewer than 3 seeds
    p: float  # corrected, of the group being worse than the other; NaN where there are too few seeds or rows
    verdict: str  # worse, no difference shown, too few seeds to tell, too few test rows to tell, undefined
    equal_p: float = numpy.nan  # corrected, of a difference at or beyond ``--margin``; NaN without, or as ``margin`` is
    plan: Callable[[], Requirement | None] | None = None

    @cached_property
    def needs(self) -> Requirement | None:
        """Seeds and rows with which to show a difference, where none is shown; computed when somebody reads it."""
        return self.plan() if self.plan is not None else None


@dataclass(frozen=True)
class Standing:
    """A group with its statistics."""

    group: Group
    scores: list[Score]  # of the runs, best first
    estimate: Estimate
    versus: Versus  # the best group; the verdict of the best itself is best, undefined or nothing to compare with
    ensemble: Ensemble | None = None  # of the runs, if it was asked for and each split has several

    @property
    def difference(self) -> float:
        """Mean minus the best group's mean."""
        return self.versus.difference

    @property
    def margin(self) -> float:
        """Half the difference's interval."""
        return self.versus.margin

    @property
    def p(self) -> float:
        """Of the group being worse than the best."""
        return self.versus.p

    @property
    def verdict(self) -> str:
        """Best, or compared with the best."""
        return self.versus.verdict

    @property
    def best(self) -> Score:
        """Score of the best run."""
        return self.scores[0]

    @property
    def median(self) -> Score:
        """Score of the middle run; the worse of the two for an even number."""
        return self.scores[len(self.scores) // 2]

    @property
    def seconds(self) -> float:
        """Mean training time of the runs."""
        return fmean(score.run.seconds for score in self.scores)

    @property
    def parameters(self) -> int:
        """Largest number of trained parameters of the runs."""
        return max(score.run.parameters for score in self.scores)

    @property
    def flops(self) -> int | None:
        """Largest number of operations of a forward pass of one row; None where no run has it."""
        return max((score.run.flops for score in self.scores if score.run.flops is not None), default=None)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Means over runs of all metrics of the task."""
        return {name: fmean(score.metrics[name] for score in self.scores) for name in self.scores[0].metrics}


class Comparison:
    """Tests of the groups of a block, which are in ``order`` by their means, best first; undefined means come last.

    A group is ``worse`` than a better one where two tests agree. The first tests the difference over seeds and test
    rows; it is Holm-corrected over all pairs of groups, since the best is chosen by looking at all of them. The second
    permutes the runs, which is exact for any distribution over seeds; few seeds cannot pass it. The interval of a
    difference excludes 0 exactly where both reject: it is the first test's at its corrected level, and reaches 0 where
    the second does not reject.

    Args:
        block: Comparable groups.
        scores: Scores of their runs.
        ensembles: Adds the mean of each group's predictions, which takes no part in the ranking.
        margin: Groups whose difference is shown to be smaller, also Holm-corrected over all pairs, are equal.
    """

    def __init__(
        self, block: Block, scores: Mapping[Run, Score], ensembles: bool = False, margin: float | None = None
    ) -> None:
        run = block.groups[0].runs[0]
        self.block, self.scores, self.ensembles, self.equal_within = block, scores, ensembles, margin
        self.rows, ratio = run.rows["test"], run.rows["test"] / max(run.rows["train"], 1)
        self.samples = [
            [numpy.array([scores[run].values for run in group.runs if run.split == split]) for split in block.splits]
            for group in block.groups
        ]
        limits = MEASURES[block.task][block.metric].limits
        self.estimates = [estimate(sample, ratio, limits) for sample in self.samples]
        repeats = max(ENOUGH_SEEDS, *(len(split) for sample in self.samples for split in sample))
        for group, sample in zip(block.groups, self.samples, strict=True):
            if all(run.is_deterministic for run in group.runs):  # with further seeds it would have the same values
                sample[:] = [split[:1].repeat(repeats, axis=0) for split in sample]
        means = [_last_if_nan(-block.sign * each.mean) for each in self.estimates]
        self.order = sorted(range(len(means)), key=means.__getitem__)
        self.pairs = pairwise(self.samples, self.rows, ratio)
        self.p = _holm(self.pairs.p)
        self.equal_p = _holm(tost(self.pairs, margin)) if margin else numpy.full_like(self.p, numpy.nan)

    def standings(self) -> list[Standing]:
        """Ranks the groups, each compared with the best."""
        best = self.order[0]
        margins = self._margins(best)
        standings = []
        for index in self.order:
            if index != best:
                versus = self.versus(index, best, float(margins[index]))
            elif numpy.isnan(self.estimates[index].mean):
                versus = Versus(float(self.pairs.difference[index, best]), numpy.nan, numpy.nan, "undefined")
            else:
                verdict = "best" if len(self.order) > 1 else "nothing to compare with"
                versus = Versus(0.0, numpy.nan, numpy.nan, verdict)
            sign, group = self.block.sign, self.block.groups[index]
            scores = (self.scores[run] for run in group.runs)
            ranked = sorted(scores, key=lambda score: _last_if_nan(-sign * score.value))
            together = ensemble(self.block, group) if self.ensembles else None
            standings.append(Standing(group, ranked, self.estimates[index], versus, together))
        return standings

    def every_pair(self) -> Iterator[tuple[Group, Group, Versus]]:
        """Yields every pair of groups, the better one first, and how the second compares with it."""
        for position, better in enumerate(self.order):
            margins = self._margins(better)
            for other in self.order[position + 1 :]:
                groups = self.block.groups
                yield groups[better], groups[other], self.versus(other, better, float(margins[other]))

    def versus(self, index: int, better: int, margin: float) -> Versus:
        """Compares a group with a better one; ``margin`` is half the interval of the first test."""
        over_seeds = permutation(*([split[:, 0] for split in self.samples[side]] for side in (index, better)))
        p = float(numpy.maximum(self.p[index, better], over_seeds.p))
        difference = float(self.pairs.difference[index, better])
        verdict = _verdict(self.estimates[index].mean, p, over_seeds.smallest, self.rows)
        if over_seeds.p >= LEVEL:
            margin = max(margin, abs(difference))
        is_tested = (
            min(_units(self.samples[index]), _units(self.samples[better])) >= MIN_UNITS and self.rows >= MIN_ROWS
        )
        equal_p = float(self.equal_p[index, better]) if is_tested else numpy.nan
        plan = None
        if verdict == "no difference shown" and not equal_p < LEVEL:
            size, pairs = self.equal_within or abs(difference), len(self.order) * (len(self.order) - 1) // 2
            plan = partial(requirement, self.samples[index], self.samples[better], self.rows, size, pairs)
        p = p if verdict in ("worse", "no difference shown") else numpy.nan
        return Versus(difference, margin if is_tested else numpy.nan, p, verdict, equal_p, plan)

    def _margins(self, reference: int) -> Array:
        """Returns half the intervals of the differences from a group (G,), at the levels that Holm's p values give."""
        p: Array = self.p[reference]
        margins: Array = self.pairs.error[reference].copy()
        defined = ~numpy.isnan(p)
        shares = numpy.divide(self.pairs.p[reference], p, out=numpy.ones_like(p), where=p > 0)
        margins[defined] *= student_t.quantile(self.pairs.df[reference][defined], LEVEL * shares[defined])
        return margins


def compare(block: Block, scores: Mapping[Run, Score], ensembles: bool = False) -> list[Standing]:
    """Ranks the groups of a block by their means, best first, and compares each with the best."""
    return Comparison(block, scores, ensembles).standings()


def _holm(p: Array) -> Array:
    """Corrects the p values (G, G) of all pairs, each of which counts once; NaN on the diagonal."""
    upper = numpy.triu_indices(len(p), k=1)
    corrected = numpy.full_like(p, numpy.nan)
    corrected[upper] = holm(p[upper])
    both: Array = numpy.fmax(corrected, corrected.T)
    return both


def _units(sample: Sample) -> int:
    """Returns the number of values that an interval is based on: the runs of a single split, or several splits."""
    return len(sample[0]) if len(sample) == 1 else len(sample)


def _verdict(mean: float, p: float, smallest: float, rows: int) -> str:
    if numpy.isnan(mean):
        return "undefined"
    if smallest >= LEVEL or numpy.isnan(p):
        return "too few seeds to tell"
    if rows < MIN_ROWS:
        return "too few test rows to tell"
    return "worse" if p < LEVEL else "no difference shown"


def _last_if_nan(value: float) -> float:
    return numpy.inf if numpy.isnan(value) else value
