"""``--search``: Optuna suggests settings, runs report their validation metric, and the chosen settings are tested."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from typing_extensions import override

from experiments.sweep.config_check import Checked, check
from experiments.sweep.grid import Run, refuse_typed, settings_words
from experiments.sweep.plan import Combination, class_of, experiment_folder, label_of, resources
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import Outcome
from experiments.sweep.runner import exit_code, launcher_of, run_combinations, seeds_of
from experiments.sweep.scheduler import Source, work
from experiments.sweep.sweep_directory import Folder, metric_settings
from experiments.sweep.sweep_options import SweepOptions
from experiments.terminal import decimal
from lit_models.errors import ConfigError

try:
    import optuna
    from optuna.trial import FrozenTrial, Trial, TrialState

    from experiments.internals.optuna_private import resume_trial
    from experiments.sweep.search_space import Space, as_text, corners, edge_lines, read_space, settings_of
except ImportError as error:
    raise ConfigError("--search needs optuna; pip install '.[search]' in the checkout") from error


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

    All trials have one training seed.
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
        self.unfinished: list[FrozenTrial] = study.get_trials(states=(TrialState.RUNNING,))
        self.trials: dict[str, Trial] = {}
        self.curves: dict[str, Curve] = {}
        self.reported: dict[str, int] = {}
        self.pruned: set[str] = set()

    @override
    def next(self) -> Run | None:
        for frozen in [*self.unfinished]:
            if self.folder.status(_name(frozen.number)) != "running":
                self.unfinished.remove(frozen)
                return self._run(resume_trial(self.study, frozen))
        if self.unfinished or len(self.study.get_trials(deepcopy=False)) >= self.options.trials:
            return None
        return self._run(self.study.ask(self.space))

    @override
    def waiting(self) -> Sequence[Run]:
        return [Run(_name(frozen.number), "", ()) for frozen in self.unfinished]

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
        name = _name(trial.number)
        self.trials[name] = trial
        self.curves[name] = Curve(self.folder.path / name, self.metric)
        self.reported[name] = 0
        own = ("--test_at_end=false", f"--seed_everything={self.seed}")
        place = (f"--experiment={self.folder.path.name}", f"--run={name}")
        words = ("fit", *self.options.words, *settings_words(settings_of(trial.params)), *own, *place)
        return Run(name, name, words, *self.resources)


def search(options: SweepOptions) -> int:
    """Searches, then trains the chosen settings with every seed and tests them; returns the exit code.

    The trials are runs of an experiment with ``-search`` behind its name, and never use the test rows. Its folder has
    the study as well, so that a restarted search continues.

    Raises:
        ConfigError: For words or a space that cannot be used, or another search in the folder.
    """
    assert options.space is not None
    space = read_space(options.space)
    refuse_typed(options.words, list(space), "--space")
    launcher = launcher_of(options, options.jobs or 1)
    lines = [("fit", *options.words, *settings_words(settings)) for settings in corners(space)]
    checked = check(lines, facts=True)
    final = Folder(experiment_folder(checked.configs(), options.experiment))
    folder = Folder(final.path.with_name(f"{final.path.name}-search"))
    with folder.locked(), final.locked():
        seed = seeds_of(options, checked.configs())[0]
        study = open_study(folder.path / "study.db", options, space, checked, seed)
        trials = Trials(study, space, folder, options, checked, seed)
        folder.add_sweep({"command": options.command, "seed": seed, "space": as_text(space)})
        over = _count(study, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        with Display(folder, max(options.trials, over), over) as display:
            outcomes, signal = work(launcher, trials, folder, display)
            for outcome in outcomes:
                if not outcome.complete:
                    display.say(outcome.line())
            complete = _count(study, TrialState.COMPLETE)
            pruned = _count(study, TrialState.PRUNED)
            display.say(f"{complete} trials complete, {pruned} ended early: {folder.path}")
            if signal is not None:
                return exit_code(outcomes, signal)
            if not complete:
                raise ConfigError(f"no trial came to a {checked.metric}; its output is in {folder.log('trial-0000')}")
            best = settings_of(study.best_params)
            chosen = " ".join(settings_words(best))
            display.say(f"chosen by {checked.metric} {decimal(study.best_value)} on validation rows: {chosen}")
            for sentence in edge_lines(study.best_params, space):
                display.say(sentence)
        line = (*options.words, *settings_words(best))
        again = check([("fit", *line)])
        config = again.configs()[0]
        rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in study.best_params.items()}
        short = settings_of(rounded)
        label = label_of(short, {key: [value] for key, value in short.items()}, class_of(config, "model"))
        combination = Combination(label, line, config, again.texts[0])
        return run_combinations(launcher_of(options, options.jobs), options, final, [combination], {"chosen": best})


def open_study(path: Path, options: SweepOptions, space: Space, checked: Checked, seed: int) -> optuna.Study:
    """Opens the study of a folder, or creates it.

    Raises:
        ConfigError: If the folder has a search through another space, or with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{path}", study_name="search", direction=checked.direction, load_if_exists=True
    )
    for name, value in {"space": as_text(space), "metric": checked.metric, "seed": seed}.items():
        if study.user_attrs.get(name, value) != value:
            raise ConfigError(f"{path.parent} is a search with another {name}; choose another --experiment")
        study.set_user_attr(name, value)
    settings = checked.texts[0]
    for setting, (then, now) in metric_settings(study.user_attrs.get("settings", settings), settings).items():
        raise ConfigError(f"{path.parent} is a search with {setting} {then}, not {now}; choose another --experiment")
    study.set_user_attr("settings", settings)
    seed = len(study.get_trials(deepcopy=False))  # a constant seed would draw the first trials again after a restart
    parallel = (options.jobs or 1) > 1 or options.ray is not None
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed, constant_liar=parallel)
        if options.search == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    return study


def _count(study: optuna.Study, *states: TrialState) -> int:
    return len(study.get_trials(deepcopy=False, states=states))


def _name(number: int) -> str:
    return f"trial-{number:04d}"
