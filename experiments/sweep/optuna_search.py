"""``--search``: trials on validation rows, as many for each contender of ``--each``; what they choose is tested."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from experiments.sweep.config_check import Checked, check
from experiments.sweep.grid import refuse_typed, settings_words
from experiments.sweep.plan import Combination, class_of, experiment_folder, label_of
from experiments.sweep.progress_display import Display
from experiments.sweep.runner import exit_code, launcher_of, run_combinations, seeds_of
from experiments.sweep.scheduler import Launcher, work
from experiments.sweep.sweep_directory import Folder, metric_settings
from experiments.sweep.sweep_options import SweepOptions
from experiments.terminal import decimal, say
from lit_models.errors import ConfigError

try:
    import optuna
    from optuna.trial import TrialState

    from experiments.sweep.budget import Budget
    from experiments.sweep.contenders import Contender, contenders_of
    from experiments.sweep.search_space import Space, as_text, corners, edge_lines, settings_of
    from experiments.sweep.trials import Trials, fold_words, repeats_of, run_names
except ImportError as error:
    raise ConfigError("--search needs optuna; pip install '.[search]' in the checkout") from error


class Searched(NamedTuple):
    """The trials of a contender."""

    study: optuna.Study
    seconds: float  # of training
    stopped: int | None  # exit code of a search that a signal has stopped


def search(options: SweepOptions) -> int:
    """Searches, then trains the chosen settings with every seed and tests them; returns the exit code.

    The trials are runs of an experiment with ``-search`` behind its name, and with that of the contender of ``--each``.
    They never use the test rows. Their folder has the study as well, so that a restarted search continues.

    Raises:
        ConfigError: For words or a space that cannot be used, or another search in the folder.
    """
    contenders = contenders_of(options)
    folds = [] if options.folds is None else fold_words(0, options.folds)
    if folds:
        refuse_typed(options.words, ["data.val_fold"], "--folds")
    lines = [
        [("fit", *contender.words, *settings_words(settings), *folds) for settings in corners(contender.space)]
        for contender in contenders
    ]
    with closing(launcher_of(options, options.jobs)) as launcher:
        checked = check([line for those in lines for line in those], launcher.check, facts=True)
        return _search(options, launcher, contenders, [len(those) for those in lines], checked)


def _search(
    options: SweepOptions, launcher: Launcher, contenders: list[Contender], counts: list[int], checked: Checked
) -> int:
    """Runs the search of each contender, of whose settings ``counts`` have been checked, and what they choose."""
    configs = checked.configs()
    final, seed = Folder(experiment_folder(configs, options.experiment)), seeds_of(options, configs)[0]
    with final.locked():
        searches, first = list[Searched](), 0
        jobs, launcher.jobs = launcher.jobs, options.jobs or 1  # a search learns from one trial for the next
        for contender, count in zip(contenders, counts, strict=True):
            texts = checked.texts[first : first + count]
            first += count
            searched = _run_trials(options, launcher, contender, replace(checked, texts=texts), final, seed)
            if searched.stopped is not None:
                return searched.stopped
            searches.append(searched)
        if options.each is not None:
            _report_budgets(options, contenders, searches, checked.metric, final)
        studies = [searched.study for searched in searches]
        launcher.jobs = jobs
        combinations = _chosen(launcher, contenders, studies)
        chosen = {one.name: settings_of(study.best_params) for one, study in zip(contenders, studies, strict=True)}
        details = {"chosen": chosen if options.each is not None else chosen[""]}
        return run_combinations(launcher, replace(options, folds=None), final, combinations, details)  # no test folds


def _run_trials(
    options: SweepOptions, launcher: Launcher, contender: Contender, checked: Checked, final: Folder, seed: int
) -> Searched:
    """Runs a contender's trials, and says what they choose.

    Raises:
        ConfigError: If no trial came to its metric, or the folder has another search.
    """
    name = f"{final.path.name}-search" + f"-{contender.name}" * bool(contender.name)
    folder, space = Folder(final.path.with_name(name)), contender.space
    with folder.locked():
        study = open_study(folder.path / "study.db", options, space, checked, seed)
        count, budget, metric = options.trial_count, options.budget_seconds, checked.metric
        repeats = repeats_of(range(seed, seed + options.trial_seeds), options.folds)
        config, sampler = checked.configs()[0], partial(sampler_of, options)
        trials = Trials(study, space, folder, contender.words, count, budget, metric, repeats, config, sampler)
        folder.add_sweep({"command": options.command, "seed": seed, "space": as_text(space)})
        over = _count(study, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        total = None if count is None else max(count, over) * len(repeats)
        with Display(folder, total, over * len(repeats)) as display:
            if contender.name:
                display.say(f"{contender.name}: {limits(options)}" + f" of {len(repeats)} runs" * (len(repeats) > 1))
            outcomes, signal = work(launcher, trials, folder, display)
            for outcome in outcomes:
                if not outcome.complete:
                    display.say(outcome.line())
            complete, pruned = _count(study, TrialState.COMPLETE), _count(study, TrialState.PRUNED)
            display.say(f"{complete} trials complete, {pruned} ended early: {folder.path}")
            if signal is not None:
                return Searched(study, trials.trained(), exit_code(outcomes, signal))
            if not complete:
                raise ConfigError(
                    f"no trial came to a {metric}; its output is in {folder.log(run_names(0, repeats)[0])}"
                )
            chosen = " ".join(settings_words(settings_of(study.best_params)))
            display.say(f"chosen by {metric} {decimal(study.best_value)} on validation rows: {chosen}")
            for sentence in edge_lines(study.best_params, space):
                display.say(sentence)
    return Searched(study, trials.trained(), None)


def limits(options: SweepOptions) -> str:
    """Returns what ends a search, in words."""
    count = options.trial_count
    trials = "trials" if count is None else f"{count} trials"
    return trials if options.budget is None else f"{trials} in {options.budget} of training"


def _chosen(launcher: Launcher, contenders: list[Contender], studies: list[optuna.Study]) -> list[Combination]:
    """Returns the best settings of each contender, with the configuration that they are."""
    lines = [
        (*contender.words, *settings_words(settings_of(study.best_params)))
        for contender, study in zip(contenders, studies, strict=True)
    ]
    checked = check([("fit", *line) for line in lines], launcher.check)
    combinations = []
    for line, study, config, text in zip(lines, studies, checked.configs(), checked.texts, strict=True):
        rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in study.best_params.items()}
        short = settings_of(rounded)
        label = label_of(short, {key: [value] for key, value in short.items()}, class_of(config, "model"))
        combinations.append(Combination(label, line, config, text))
    return combinations


def _report_budgets(
    options: SweepOptions, contenders: list[Contender], searches: list[Searched], metric: str, folder: Folder
) -> None:
    """Says what each contender came to with its trials, and draws it."""
    budgets = [
        Budget.of(one.name, searched.study, metric, searched.seconds)
        for one, searched in zip(contenders, searches, strict=True)
    ]
    for budget in budgets:
        say("\n".join(budget.lines()))
    if find_spec("matplotlib") is not None:
        from experiments.sweep.budget_figure import write_figure

        say(f"best validation metric over trials: {write_figure(folder.path, budgets, limits(options))}")


def open_study(path: Path, options: SweepOptions, space: Space, checked: Checked, seed: int) -> optuna.Study:
    """Opens the study of a folder, or creates it.

    Raises:
        ConfigError: If the folder has a search through another space, or with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{path}", study_name="search", direction=checked.direction, load_if_exists=True
    )
    own = {"space": as_text(space), "metric": checked.metric, "seed": seed, "trial_seeds": options.trial_seeds}
    for name, value in own.items():
        if study.user_attrs.get(name, value) != value:
            raise ConfigError(f"{path.parent} is a search with another {name}; choose another --experiment")
        study.set_user_attr(name, value)
    settings = checked.texts[0]
    for setting, (then, now) in metric_settings(study.user_attrs.get("settings", settings), settings).items():
        raise ConfigError(f"{path.parent} is a search with {setting} {then}, not {now}; choose another --experiment")
    study.set_user_attr("settings", settings)
    study.sampler = sampler_of(options, 0)
    return study


def sampler_of(options: SweepOptions, seed: int) -> optuna.samplers.BaseSampler:
    """Returns a new sampler of the kind that is typed."""
    parallel = (options.jobs or 1) > 1 or options.ray is not None or options.slurm is not None
    match options.search:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, constant_liar=parallel)
        case "gp":
            return optuna.samplers.GPSampler(seed=seed)
        case _:
            return optuna.samplers.RandomSampler(seed=seed)


def _count(study: optuna.Study, *states: TrialState) -> int:
    return len(study.get_trials(deepcopy=False, states=states))
