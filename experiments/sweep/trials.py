"""Trials of a search as runs: Optuna suggests their settings, and they report their validation metric."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from typing_extensions import override

from experiments.internals.optuna_private import resume_trial
from experiments.sweep.grid import Run, settings_words
from experiments.sweep.plan import resources
from experiments.sweep.run_result import Outcome
from experiments.sweep.scheduler import Source
from experiments.sweep.search_space import Space, settings_of
from experiments.sweep.sweep_directory import Folder
from experiments.terminal import decimal

MOST_FAILED = 10
"""After so many runs in a row that failed before they trained no trial begins: they would never use up a budget."""


@dataclass(frozen=True)
class Repeat:
    """One of the runs of each trial, whose value is the mean over them."""

    suffix: str  # of the run's name
    words: tuple[str, ...]  # of fit


class Curve:
    """A scalar, such as ``val/accuracy``, in the event files of a run in progress."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._loaders: dict[Path, EventFileLoader] = {}
        self._values: dict[int, float] = {}

    def values(self) -> list[float]:
        """Returns the values so far, one a validation; a resumed run's repeated ones count once."""
        for file in sorted(self.path.glob("events.out.tfevents.*")):
            loader = self._loaders.setdefault(file, EventFileLoader(str(file)))
            for event in loader.Load():
                for value in event.summary.value:
                    if value.tag == self.name:
                        number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                        self._values[event.step] = float(number)
        return [self._values[step] for step in sorted(self._values)]


class Trials(Source):
    """Source of a study's trials as runs, beginning with those that an earlier process left unfinished.

    Args:
        study: The study.
        space: The distribution of each setting.
        folder: Folder of the runs.
        words: Words of ``fit`` that all trials share.
        count: Number of trials, earlier ones included; None for any.
        budget: Seconds of training, earlier trials included, after which no other begins.
        metric: Scalar that ranks the trials, on validation rows.
        repeats: Runs of each trial, whose value is the mean over them; the first one's curve decides whether a trial
            ends early, so that all are compared by the same seed and validation rows.
        config: Configuration of one of them, which says the devices that each requests.
        sampler: Creates a sampler from a seed. The seed of a trial is its number, so that a restarted search draws what
            it would have drawn.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        folder: Folder,
        words: Sequence[str],
        count: int | None,
        budget: float,
        metric: str,
        repeats: Sequence[Repeat],
        config: dict[str, Any],
        sampler: Callable[[int], optuna.samplers.BaseSampler],
    ) -> None:
        self.study = study
        self.space = space
        self.folder = folder
        self.words = words
        self.count = math.inf if count is None else count
        self.budget = budget
        self.metric = metric
        self.repeats = repeats
        self.sampler = sampler
        self.resources = resources(config)
        self.unfinished: list[FrozenTrial] = study.get_trials(states=(TrialState.RUNNING,))
        self.queued: list[Run] = []  # further runs of trials that have begun
        self.trials: dict[str, Trial] = {}  # by the names of their runs, until they are told to the study
        self.curves: dict[str, Curve] = {}
        self.reported: dict[int, int] = {}
        self.values: dict[int, list[float]] = {}
        self.pruned: set[int] = set()
        self.failed_in_row = 0
        numbers = [trial.number for trial in study.get_trials(deepcopy=False)]
        self.seconds = {  # of training, by the names of the runs
            name: seconds_of(folder.record(name)) for number in numbers for name in run_names(number, repeats)
        }

    @override
    def next(self) -> Run | None:
        if self.queued:
            return self.queued.pop(0)
        for frozen in [*self.unfinished]:
            if "running" not in map(self.folder.status, run_names(frozen.number, self.repeats)):
                self.unfinished.remove(frozen)
                self.study.sampler = self.sampler(frozen.number)
                return self._begin(resume_trial(self.study, frozen, self.space))
        begun = len(self.study.get_trials(deepcopy=False))
        if self.unfinished or begun >= self.count:
            return None
        if self.trained() >= self.budget or self.failed_in_row >= MOST_FAILED:
            return None
        self.study.sampler = self.sampler(begun)
        return self._begin(self.study.ask(self.space))

    def trained(self) -> float:
        """Returns the seconds of training of the trials that have ended."""
        return math.fsum(self.seconds.values())

    @override
    def waiting(self) -> Sequence[Run]:
        return [Run(run_names(frozen.number, self.repeats)[0], "", ()) for frozen in self.unfinished]

    @override
    def take(self, outcome: Outcome) -> Outcome:
        """Reports the best epoch of each run to the study, whose weights are those of the best checkpoint."""
        name = outcome.run.name
        trial = self.trials.pop(name)
        self.seconds[name] = seconds_of(outcome.record)
        values = self._report(name, trial)
        if trial.number in self.pruned and not outcome.complete:
            self._tell(trial, TrialState.PRUNED)
            return replace(outcome, early=True, result="ended early, worse than the median")
        if outcome.complete and values and all(map(math.isfinite, values)):
            best = max(values) if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else min(values)
            self.failed_in_row = 0
            found = self.values[trial.number]
            found.append(best)
            if len(found) == len(self.repeats):
                self.study.tell(trial, math.fsum(found) / len(found))
            return replace(outcome, result=f"{self.metric} {decimal(best)}")
        if outcome.record.get("status") not in ("interrupted", "running", None) or outcome.code in (1, 2, 3):
            self.failed_in_row = 0 if self.seconds[name] else self.failed_in_row + 1
            self._tell(trial, TrialState.FAIL)
        return outcome

    @override
    def watch(self, running: Sequence[Run]) -> list[Run]:
        """Returns the runs of trials that are worse than the median of earlier ones at the same epoch."""
        for run in running:
            trial = self.trials[run.name]
            self._report(run.name, trial)
            is_first = run.name == run_names(trial.number, self.repeats)[0]
            if is_first and trial.number not in self.pruned and self.reported[trial.number] and trial.should_prune():
                self.pruned.add(trial.number)
                self._drop(trial)
                return [other for other in running if self.trials[other.name].number == trial.number]
        return []

    def _report(self, name: str, trial: Trial) -> list[float]:
        """Returns the values of a run's curve, after reporting the new ones of a first run to the study."""
        values, number = self.curves[name].values(), trial.number
        if name == run_names(number, self.repeats)[0]:
            for epoch, value in enumerate(values[self.reported[number] :], start=self.reported[number]):
                if math.isfinite(value):
                    trial.report(value, epoch)
            self.reported[number] = len(values)
        return values

    def _tell(self, trial: Trial, state: TrialState) -> None:
        """Ends a trial without a value; its other runs end too, or do not begin."""
        if self.study.trials[trial.number].state == TrialState.RUNNING:
            self.study.tell(trial, state=state)
        self._drop(trial)

    def _drop(self, trial: Trial) -> None:
        names = run_names(trial.number, self.repeats)
        self.queued = [run for run in self.queued if run.name not in names]

    def _begin(self, trial: Trial) -> Run:
        """Returns the first run of a trial, and queues the others."""
        self.reported[trial.number], self.values[trial.number] = 0, []
        for repeat, name in zip(self.repeats, run_names(trial.number, self.repeats), strict=True):
            self.trials[name], self.curves[name] = trial, Curve(self.folder.path / name, self.metric)
            own = ("--test_at_end=false", *repeat.words)
            place = (f"--experiment={self.folder.path.name}", f"--run={name}")
            words = ("fit", *self.words, *settings_words(settings_of(trial.params)), *own, *place)
            self.queued.append(Run(name, name, words, *self.resources))
        return self.queued.pop(0)


def seconds_of(record: dict[str, Any]) -> float:
    """Returns the seconds of training of a run, by its record."""
    return float(record.get("seconds") or 0)


def repeats_of(seeds: Sequence[int], folds: int | None) -> list[Repeat]:
    """Returns the runs of each trial: one a seed, or one a fold of the train and validation rows and a seed."""
    repeats = []
    for fold, seed in product([None] if folds is None else range(folds), seeds):
        suffix = ("" if fold is None else f"-fold{fold}") + (f"-seed{seed}" if len(seeds) > 1 else "")
        words = [] if fold is None else fold_words(fold, folds)
        repeats.append(Repeat(suffix, (f"--seed_everything={seed}", *words)))
    return repeats


def fold_words(fold: int, folds: int | None) -> list[str]:
    """Returns the words of ``fit`` by which one of the folds of the train and validation rows validates."""
    return [f"--data.val_fold=[{fold},{folds}]"]


def run_names(number: int, repeats: Sequence[Repeat]) -> list[str]:
    """Returns the names of a trial's runs."""
    return [f"trial-{number:04d}{repeat.suffix}" for repeat in repeats]
