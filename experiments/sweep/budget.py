"""Best validation metric over the trials of a search, and what is expected of fewer.

Expected validation performance: Dodge, Gururangan, Card, Schwartz & Smith, "Show Your Work: Improved Reporting of
Experimental Results", EMNLP 2019, section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from experiments.terminal import decimal, duration

SHARES = (4, 2)
"""What is expected of a quarter and of half of the trials is said."""

LEAST_FOR_IMPORTANCE = 10
"""Least number of complete trials from which the importance of settings is computed."""

LEAST_SHARE = 0.05
"""Settings of a smaller share of the variance are not said."""


@dataclass(frozen=True)
class Budget:
    """The trials of a contender."""

    name: str
    metric: str
    seconds: float  # of training
    values: tuple[float, ...]  # best validation metric of each trial with one, in their order
    counts: tuple[int, int, int]  # trials complete, ended early, failed
    is_higher_better: bool
    is_random: bool  # trials are independent draws, as the expectation assumes
    importance: dict[str, float]  # shares of settings, largest first

    @classmethod
    def of(cls, name: str, study: optuna.Study, metric: str, seconds: float) -> "Budget":
        """Reads the trials of a study; one that ended early has the best value that it had reported."""
        is_higher = study.direction == optuna.study.StudyDirection.MAXIMIZE
        best = max if is_higher else min
        values, counts = [], []
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
            counts.append(len(study.get_trials(deepcopy=False, states=[state])))
        for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED]):
            if trial.state == TrialState.COMPLETE and trial.value is not None:
                values.append(trial.value)
            elif trial.intermediate_values:
                values.append(best(trial.intermediate_values.values()))
        is_enough = counts[0] >= LEAST_FOR_IMPORTANCE
        shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()) if is_enough else {}
        is_random = isinstance(study.sampler, RandomSampler)
        three = (counts[0], counts[1], counts[2])
        return cls(name, metric, seconds, tuple(values), three, is_higher, is_random, dict(shares))

    def best_so_far(self) -> list[float]:
        """Returns the best value after each trial."""
        accumulate = numpy.maximum.accumulate if self.is_higher_better else numpy.minimum.accumulate
        return [float(value) for value in accumulate(numpy.array(self.values))]

    def lines(self) -> list[str]:
        """Returns what the terminal says: the best value, what fewer trials come to, and which settings mattered."""
        complete, early, failed = self.counts
        ends = f"{complete} complete, {early} ended early" + f", {failed} failed" * bool(failed)
        cost = f"{sum(self.counts)} trials ({ends}), {duration(self.seconds)} of training"
        line = f"{self.name}: {self.metric} {decimal(self.best_so_far()[-1])} after {cost}"
        if self.is_random:
            means, _ = expected_best(self.values, self.is_higher_better)
            counts = sorted({max(1, len(means) // share) for share in SHARES} - {len(means)})
            parts = [f"{decimal(float(means[count - 1]))} of {count}" for count in counts]
            line += "; expected " + ", ".join(parts) if parts else ""
        shares = [f"{name} {share:.0%}" for name, share in self.importance.items() if share >= LEAST_SHARE]
        return [line, f"  what mattered: {', '.join(shares)}"] if shares else [line]


def expected_best(values: Sequence[float], is_higher_better: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Returns mean and standard deviation of the best of 1, ..., N draws from N values (N,), with replacement.

    The i-th worst of N values is the best of n draws with the probability (i/N)^n - ((i-1)/N)^n.
    """
    ordered = numpy.sort(numpy.array(values, dtype=float))
    ordered = ordered if is_higher_better else ordered[::-1]
    share = numpy.arange(len(ordered) + 1) / max(1, len(ordered))
    draws = numpy.arange(1, len(ordered) + 1)[:, None]
    probability = share[1:] ** draws - share[:-1] ** draws
    mean = probability @ ordered
    variance = (probability * (ordered - mean[:, None]) ** 2).sum(axis=1)
    return mean, numpy.sqrt(variance)
