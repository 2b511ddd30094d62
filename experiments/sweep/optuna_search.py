"""``--search``: Optuna asks, runs answer with their validation metric, and what they chose is tested."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from experiments.sweep.config_check import Checked, check
from experiments.sweep.grid import Run, refuse_typed, settings_words
from experiments.sweep.plan import Combination, class_of, label_of, place, resources
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import Outcome
from experiments.sweep.runner import launcher_of, run_combinations, seeds_of
from experiments.sweep.scheduler import work
from experiments.sweep.sweep_directory import Folder, settings_that_count
from experiments.sweep.sweep_options import SweepOptions
from experiments.sweep.sweep_report import exit_code
from lit_models.errors import ConfigError

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState

    from experiments.sweep.search_space import Space, as_text, corners, read_space, settings_of
except ImportError as error:
    raise ConfigError("--search needs optuna; pip install 'evenhand[search]'") from error


class Curve:
    """Grows while the run goes on.

    Args:
        path: The run's folder.
        name: Of the scalar, ``val/accuracy``.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._loaders: dict[Path, EventFileLoader] = {}
        self._values: dict[int, float] = {}

    def values(self) -> list[float]:
        """One value for each validation until now; what a resumed run logged again counts once."""
        for file in sorted(self.path.glob("events.out.tfevents.*")):
            loader = self._loaders.setdefault(file, EventFileLoader(str(file)))
            for event in loader.Load():
                for value in event.summary.value:
                    if value.tag == self.name:
                        number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                        self._values[event.step] = float(number)
        return [self._values[step] for step in sorted(self._values)]


class Trials:
    """A study's trials as runs, those first that an earlier process left unfinished.

    Args:
        study: Optuna's.
        space: What is searched.
        folder: Of the trials.
        options: Of the sweep.
        checked: The metric and its direction.
        seed: Of the training, the same for all.
    """

    def __init__(
        self, study: optuna.Study, space: Space, folder: Folder, options: SweepOptions, checked: Checked, seed: int
    ) -> None:
        self.study = study
        self.space = space
        self.folder = folder
        self.options = options
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
        if self.left or len(self.study.get_trials(deepcopy=False)) >= self.options.trials:
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
        words = ("fit", *self.options.words, *settings_words(settings_of(trial.params)), *own, *place)
        return Run(name, name, words, *self.resources)


def _name(number: int) -> str:
    return f"trial-{number:04d}"


OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def search(options: SweepOptions) -> int:
    """Search, then train what was chosen with every seed and test it; the exit code.

    The trials are runs of their own experiment, named with ``-search`` behind, and never look at the test rows. Its
    folder holds the study too, so that a search that is started again goes on.

    Raises:
        ConfigError: For words or a space that cannot be used, or another search in the folder.
    """
    assert options.space is not None
    space = read_space(options.space)
    refuse_typed(options.words, list(space), "--space")
    launcher = launcher_of(options, options.jobs or 1)
    checked = check([("fit", *options.words, *settings_words(one)) for one in corners(space)], facts=True)
    final = Folder(place(checked.configs(), options.experiment))
    folder = Folder(final.path.with_name(f"{final.path.name}-search"))
    with folder.alone(), final.alone():
        seed = seeds_of(options, checked.configs())[0]
        study = open_study(folder.path / "study.db", options, space, checked, seed)
        trials = Trials(study, space, folder, options, checked, seed)
        folder.note({"command": options.command, "seed": seed, "space": as_text(space)})
        over = len(study.get_trials(deepcopy=False, states=OVER))
        with Display(folder, max(options.trials, over), over) as display:
            outcomes, signal = work(launcher, trials, folder, display)
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
        line = (*options.words, *settings_words(best))
        again = check([("fit", *line)])
        config = again.configs()[0]
        short = settings_of({key: _rounded(value) for key, value in study.best_params.items()})
        label = label_of(short, {key: [value] for key, value in short.items()}, class_of(config, "model"))
        return run_combinations(options, final, [Combination(label, line, config)], again.texts, {"chosen": best})


def open_study(path: Path, options: SweepOptions, space: Space, checked: Checked, seed: int) -> optuna.Study:
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
    asks = {"space": as_text(space), "metric": checked.metric, "seed": seed}
    for name, value in asks.items():
        if study.user_attrs.get(name, value) != value:
            raise ConfigError(f"{path.parent} is a search with another {name}; choose another --experiment")
        study.set_user_attr(name, value)
    settings = checked.texts[0]
    differing = settings_that_count(study.user_attrs.get("settings", settings), settings)
    for setting, (then, now) in differing.items():
        raise ConfigError(f"{path.parent} is a search with {setting} {then}, not {now}; choose another --experiment")
    study.set_user_attr("settings", settings)
    drawn = len(study.get_trials(deepcopy=False))  # the sampler's seed, or a restart would draw the first trials again
    parallel = (options.jobs or 1) > 1 or options.ray is not None
    study.sampler = (
        optuna.samplers.TPESampler(seed=drawn, constant_liar=parallel)
        if options.search == "tpe"
        else optuna.samplers.RandomSampler(seed=drawn)
    )
    return study


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
