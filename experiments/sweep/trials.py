"""The trials of a study as runs of a sweep."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.sweep.checking import Checked
from experiments.sweep.curve import Curve
from experiments.sweep.folder import Folder
from experiments.sweep.grid import Run, settings_words
from experiments.sweep.outcome import Outcome
from experiments.sweep.plan import resources
from experiments.sweep.space import Space, settings_of

if TYPE_CHECKING:
    from experiments.sweep.asked import Asked


class Trials:
    """A study's trials as runs, those first that an earlier process left unfinished.

    Args:
        study: Optuna's.
        space: What is searched.
        folder: Of the trials.
        asked: What was typed.
        checked: The metric and its direction.
        seed: Of the training, the same for all.
    """

    def __init__(
        self, study: optuna.Study, space: Space, folder: Folder, asked: "Asked", checked: Checked, seed: int
    ) -> None:
        self.study = study
        self.space = space
        self.folder = folder
        self.asked = asked
        self.metric = checked.metric
        self.seed = seed
        self.resources = resources(checked.configs()[0])
        self.left: list[FrozenTrial] = study.get_trials(states=(TrialState.RUNNING,))
        self.trials: dict[str, Trial] = {}
        self.curves: dict[str, Curve] = {}
        self.reported: dict[str, int] = {}
        self.pruned: set[str] = set()

    def next(self) -> Run | None:
        """A trial that was left, or a new one while there are fewer than asked for."""
        for index, frozen in enumerate(self.left):
            if self.folder.status(_name(frozen.number)) != "running":
                self.left.pop(index)
                return self._run(Trial(self.study, frozen._trial_id))
        if self.left or len(self.study.get_trials(deepcopy=False)) >= self.asked.trials:
            return None
        return self._run(self.study.ask(self.space))

    def waiting(self) -> list[Run]:
        """Trials that a process of an earlier search is at."""
        return [Run(_name(frozen.number), "", ()) for frozen in self.left]

    def take(self, outcome: Outcome) -> Outcome:
        """Tell the study: the best epoch, whose weights are the best checkpoint's."""
        name = outcome.run.name
        trial, values = self.trials.pop(name), self._values(name)
        self._report(trial, name, values)
        if name in self.pruned and not outcome.complete:
            self.study.tell(trial, state=TrialState.PRUNED)
            return replace(outcome, early=True, said="ended early, worse than the median")
        if outcome.complete and values and all(map(math.isfinite, values)):
            best = max if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else min
            self.study.tell(trial, best(values))
            return replace(outcome, said=f"{self.metric} {best(values):.4f}")
        if outcome.record.get("status") not in ("interrupted", "running", None) or outcome.code in (1, 2, 3):
            self.study.tell(trial, state=TrialState.FAIL)
        return outcome

    def watch(self, running: Sequence[Run]) -> list[Run]:
        """Those that are worse than the median of the earlier ones at the same epoch."""
        worse = []
        for run in running:
            trial = self.trials[run.name]
            self._report(trial, run.name, self._values(run.name))
            if run.name not in self.pruned and self.reported[run.name] and trial.should_prune():
                self.pruned.add(run.name)
                worse.append(run)
        return worse

    def _values(self, name: str) -> list[float]:
        return self.curves[name].values()

    def _report(self, trial: Trial, name: str, values: list[float]) -> None:
        for epoch in range(self.reported[name], len(values)):
            if math.isfinite(values[epoch]):
                trial.report(values[epoch], epoch)
        self.reported[name] = len(values)

    def _run(self, trial: Trial) -> Run:
        name = _name(trial.number)
        self.trials[name] = trial
        self.curves[name] = Curve(self.folder.path / name, self.metric)
        self.reported[name] = 0
        own = ("--test_at_end=false", f"--seed_everything={self.seed}")
        place = (f"--experiment={self.folder.path.name}", f"--run={name}")
        words = ("fit", *self.asked.words, *settings_words(settings_of(trial.params)), *own, *place)
        return Run(name, name, words, *self.resources)


def _name(number: int) -> str:
    return f"trial-{number:04d}"
