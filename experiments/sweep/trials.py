"""Trials of a search as runs: Optuna suggests their settings, and they report their validation metric."""

import math
from collections.abc import Sequence
from dataclasses import replace
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
        count: Number of trials, earlier ones included.
        metric: Scalar that ranks the trials, on validation rows.
        seed: Training seed of all trials.
        config: Configuration of one of them, which says the devices that each requests.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        folder: Folder,
        words: Sequence[str],
        count: int,
        metric: str,
        seed: int,
        config: dict[str, Any],
    ) -> None:
        self.study = study
        self.space = space
        self.folder = folder
        self.words = words
        self.count = count
        self.metric = metric
        self.seed = seed
        self.resources = resources(config)
        self.unfinished: list[FrozenTrial] = study.get_trials(states=(TrialState.RUNNING,))
        self.trials: dict[str, Trial] = {}
        self.curves: dict[str, Curve] = {}
        self.reported: dict[str, int] = {}
        self.pruned: set[str] = set()

    @override
    def next(self) -> Run | None:
        for frozen in [*self.unfinished]:
            if self.folder.status(trial_name(frozen.number)) != "running":
                self.unfinished.remove(frozen)
                return self._run(resume_trial(self.study, frozen))
        if self.unfinished or len(self.study.get_trials(deepcopy=False)) >= self.count:
            return None
        return self._run(self.study.ask(self.space))

    @override
    def waiting(self) -> Sequence[Run]:
        return [Run(trial_name(frozen.number), "", ()) for frozen in self.unfinished]

    @override
    def take(self, outcome: Outcome) -> Outcome:
        """Reports the best epoch to the study, whose weights are those of the best checkpoint."""
        name = outcome.run.name
        values = self._report(name)
        trial = self.trials.pop(name)
        if name in self.pruned and not outcome.complete:
            self.study.tell(trial, state=TrialState.PRUNED)
            return replace(outcome, early=True, result="ended early, worse than the median")
        if outcome.complete and values and all(map(math.isfinite, values)):
            best = max(values) if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else min(values)
            self.study.tell(trial, best)
            return replace(outcome, result=f"{self.metric} {decimal(best)}")
        if outcome.record.get("status") not in ("interrupted", "running", None) or outcome.code in (1, 2, 3):
            self.study.tell(trial, state=TrialState.FAIL)
        return outcome

    @override
    def watch(self, running: Sequence[Run]) -> list[Run]:
        """Returns the trials that are worse than the median of earlier ones at the same epoch."""
        worse = []
        for run in running:
            self._report(run.name)
            if run.name not in self.pruned and self.reported[run.name] and self.trials[run.name].should_prune():
                self.pruned.add(run.name)
                worse.append(run)
        return worse

    def _report(self, name: str) -> list[float]:
        """Reports new values of a trial's curve to the study, and returns all."""
        values = self.curves[name].values()
        for epoch, value in enumerate(values[self.reported[name] :], start=self.reported[name]):
            if math.isfinite(value):
                self.trials[name].report(value, epoch)
        self.reported[name] = len(values)
        return values

    def _run(self, trial: Trial) -> Run:
        name = trial_name(trial.number)
        self.trials[name] = trial
        self.curves[name] = Curve(self.folder.path / name, self.metric)
        self.reported[name] = 0
        own = ("--test_at_end=false", f"--seed_everything={self.seed}")
        place = (f"--experiment={self.folder.path.name}", f"--run={name}")
        words = ("fit", *self.words, *settings_words(settings_of(trial.params)), *own, *place)
        return Run(name, name, words, *self.resources)


def trial_name(number: int) -> str:
    """Returns the name of a trial's run."""
    return f"trial-{number:04d}"
