"""Statistics of a block's groups, and a verdict on each group against the best."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy
from numpy.typing import NDArray

from experiments.compare.ensembles import Ensemble, ensemble
from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics import student_t
from experiments.compare.statistics.pairwise_tests import MIN_UNITS, Estimate, Pairs, Sample, estimate, holm, pairwise
from experiments.compare.statistics.permutation import permutation

LEVEL = 0.05
Array = NDArray[numpy.float64]
ENOUGH_SEEDS = 4
"""Seeds of two groups with which permutations of their runs can reach p < 0.05."""
MIN_ROWS = 6
"""With fewer test rows, no sign flips of the rows' differences can reach p < 0.05."""


@dataclass(frozen=True)
class Standing:
    """A group with its statistics."""

    group: Group
    scores: list[Score]  # of the runs, best first
    estimate: Estimate
    difference: float  # mean minus the best group's mean
    margin: float  # half the difference's 95 % interval, corrected as p is; NaN where a group has fewer than 3 seeds
    p: float  # corrected, of the group being worse than the best; NaN where there are too few seeds or rows
    verdict: str  # best, or compared with the best: worse, no difference shown, too few seeds to tell
    ensemble: Ensemble | None = None  # of the runs, if it was asked for and each split has several

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

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Means over runs of all metrics of the task."""
        return {name: fmean(score.metrics[name] for score in self.scores) for name in self.scores[0].metrics}


def compare(block: Block, scores: Mapping[Run, Score], ensembles: bool = False) -> list[Standing]:
    """Ranks the groups of a block by their means, best first; undefined means come last.

    ``ensembles`` adds the mean of each group's predictions, which takes no part in the ranking.

    A group is ``worse`` than the best where two tests agree. The first tests the difference over seeds and test rows;
    it is Holm-corrected over all pairs of groups, since the best is chosen by looking at all of them. The second
    permutes the runs, which is exact for any distribution over seeds; few seeds cannot pass it. The interval of a
    difference excludes 0 exactly where both reject: it is the first test's at its corrected level, and reaches 0 where
    the second does not reject.
    """
    run = block.groups[0].runs[0]
    rows, ratio = run.rows["test"], run.rows["test"] / max(run.rows["train"], 1)
    samples = [
        [numpy.array([scores[run].values for run in group.runs if run.split == split]) for split in block.splits]
        for group in block.groups
    ]
    estimates = [estimate(sample, ratio) for sample in samples]
    repeats = max(ENOUGH_SEEDS, *(len(split) for sample in samples for split in sample))
    for group, sample in zip(block.groups, samples, strict=True):
        if all(run.is_deterministic for run in group.runs):  # with further seeds it would have the same values
            sample[:] = [split[:1].repeat(repeats, axis=0) for split in sample]
    order = sorted(range(len(samples)), key=lambda index: _last_if_nan(-block.sign * estimates[index].mean))
    pairs = pairwise(samples, rows, ratio)
    best = order[0]
    p_values, margins = _corrected(pairs, best)
    standings = []
    for index in order:
        group, mean, p = block.groups[index], estimates[index].mean, numpy.nan
        if index != best:
            over_seeds = permutation(*([split[:, 0] for split in samples[side]] for side in (index, best)))
            p = float(numpy.maximum(p_values[index], over_seeds.p))
            verdict = _verdict(mean, p, over_seeds.smallest, rows)
            if over_seeds.p >= LEVEL:
                margins[index] = max(margins[index], abs(pairs.difference[index, best]))
            units = min(_units(samples[index]), _units(samples[best]))
            margins[index] = margins[index] if units >= MIN_UNITS and rows >= MIN_ROWS else numpy.nan
            p = p if verdict in ("worse", "no difference shown") else numpy.nan
        elif numpy.isnan(mean):
            verdict = "undefined"
        else:
            verdict = "best" if len(order) > 1 else "nothing to compare with"
        ranked = sorted((scores[run] for run in group.runs), key=lambda score: _last_if_nan(-block.sign * score.value))
        difference = float(pairs.difference[index, best])
        together = ensemble(block, group) if ensembles else None
        margin = float(margins[index])
        standings.append(Standing(group, ranked, estimates[index], difference, margin, p, verdict, together))
    return standings


def _corrected(pairs: Pairs, best: int) -> tuple[Array, Array]:
    """Returns Holm's p values over all pairs, and the margins at the levels that Holm gives them, of one group (G,)."""
    upper = numpy.triu_indices(len(pairs.p), k=1)
    corrected = numpy.full_like(pairs.p, numpy.nan)
    corrected[upper] = holm(pairs.p[upper])
    p, margins = numpy.fmax(corrected, corrected.T)[best], pairs.error[best].copy()
    defined = ~numpy.isnan(p)
    shares = numpy.divide(pairs.p[best], p, out=numpy.ones_like(p), where=p > 0)
    margins[defined] *= student_t.quantile(pairs.df[best][defined], LEVEL * shares[defined])
    return p, margins


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
