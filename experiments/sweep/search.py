"""``--search``: Optuna asks, runs answer with their validation metric, and what they chose is tested."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.sweep.checking import Checked, check
from experiments.sweep.curve import Curve
from experiments.sweep.display import Display
from experiments.sweep.folder import Folder
from experiments.sweep.grid import Run, label_of, refuse_typed, settings_words
from experiments.sweep.outcome import Outcome
from experiments.sweep.plan import Combination, class_of, place, resources
from experiments.sweep.report import exit_code
from experiments.sweep.work import work
from lit_models.errors import ConfigError

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState

    from experiments.sweep.space import Space, as_text, corners, read_space, settings_of
except ImportError as error:
    raise ConfigError("--search needs optuna; pip install 'evenhand[search]'") from error

if TYPE_CHECKING:
    from experiments.sweep.asked import Asked

OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def search(asked: "Asked") -> int:
    """Search, then train what was chosen with every seed and test it; the exit code.

    The trials are runs of their own experiment, named with ``-search`` behind, and never look at the test rows. Its
    folder holds the study too, so that a search that is started again goes on.

    Raises:
        ConfigError: For words or a space that cannot be used, or another search in the folder.
    """
    if asked.resplit or asked.grid:
        option, why = ("--resplit", "a search sees one split") if asked.resplit else ("--grid", "--space has choices")
        raise ConfigError(f"{option} does not go with --search, since {why}; leave one of them out")
    assert asked.space is not None
    space = read_space(asked.space)
    refuse_typed(asked.words, list(space), "--space")
    checked = check([("fit", *asked.words, *settings_words(one)) for one in corners(space)], facts=True)
    final = Folder(place(checked.configs(), asked.experiment))
    folder = Folder(final.path.with_name(f"{final.path.name}-search"))
    with folder.alone(), final.alone():
        study = open_study(folder.path / "study.db", asked, space, checked)
        seed = asked.seeds_for(checked.configs()[0])[0]
        trials = Trials(study, space, folder, asked, checked, seed)
        folder.note({"command": asked.command, "seed": seed, "space": as_text(space)})
        over = len(study.get_trials(deepcopy=False, states=OVER))
        with Display(folder, max(asked.trials, over), over) as display:
            outcomes, signal = work(asked.launcher(asked.jobs or 1), trials, folder, display)
            done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            pruned = len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
            for outcome in outcomes:
                if not outcome.complete:
                    display.say(outcome.line())
            display.say(f"{len(done)} trials complete, {pruned} ended early: {folder.path}")
            if signal is not None:
                return exit_code(outcomes, signal)
            if not done:
                raise ConfigError(
                    f"no trial came to a {checked.metric}; {folder.log('trial-0000')} tells what was printed"
                )
            best = settings_of(study.best_params)
            chosen = " ".join(settings_words(best))
            display.say(f"chosen by {checked.metric} {study.best_value:.4f} on validation rows: {chosen}")
        line = (*asked.words, *settings_words(best))
        again = check([("fit", *line)])
        config = again.configs()[0]
        short = settings_of({key: _rounded(value) for key, value in study.best_params.items()})
        label = label_of(short, {key: [value] for key, value in short.items()}, class_of(config, "model"))
        return asked.run_all(final, [Combination(label, line, config)], again.texts, {"chosen": best})


def open_study(path: Path, asked: "Asked", space: "Space", checked: Checked) -> "optuna.Study":
    """The study of a folder, made where there is none.

    Raises:
        ConfigError: Where the folder holds a search through another space, or with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="search",
        storage=f"sqlite:///{path}",
        load_if_exists=True,
        direction=checked.direction,
        pruner=optuna.pruners.MedianPruner(),
    )
    asks = {"space": as_text(space), "settings": checked.texts[0], "metric": checked.metric}
    for name, value in asks.items():
        if study.user_attrs.get(name, value) != value:
            raise ConfigError(f"{path.parent} is a search with another {name}; choose another --experiment")
        study.set_user_attr(name, value)
    # Another seed after a restart, or the first trials would be drawn again.
    seed = len(study.get_trials(deepcopy=False))
    parallel = (asked.jobs or 1) > 1 or asked.ray is not None
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed, constant_liar=parallel)
        if asked.search == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    return study


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
        self, study: "optuna.Study", space: "Space", folder: Folder, asked: "Asked", checked: Checked, seed: int
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

    def _report(self, trial: "Trial", name: str, values: list[float]) -> None:
        for epoch in range(self.reported[name], len(values)):
            if math.isfinite(values[epoch]):
                trial.report(values[epoch], epoch)
        self.reported[name] = len(values)

    def _run(self, trial: "Trial") -> Run:
        name = _name(trial.number)
        self.trials[name] = trial
        self.curves[name] = Curve(self.folder.path / name, self.metric)
        self.reported[name] = 0
        own = ("--test_at_end=false", f"--seed_everything={self.seed}")
        place = (f"--experiment={self.folder.path.name}", f"--run={name}")
        words = ("fit", *self.asked.words, *settings_words(settings_of(trial.params)), *own, *place)
        return Run(name, name, words, *self.resources)


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _name(number: int) -> str:
    return f"trial-{number:04d}"
