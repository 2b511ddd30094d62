"""``--search``: Optuna asks, runs answer with their validation metric, and what they chose is tested."""

from pathlib import Path
from typing import TYPE_CHECKING

from experiments.sweep.checking import Checked, check
from experiments.sweep.display import Display
from experiments.sweep.folder import Folder, settings_that_count
from experiments.sweep.grid import refuse_typed, settings_words
from experiments.sweep.naming import label_of
from experiments.sweep.plan import Combination, class_of, place
from experiments.sweep.report import exit_code
from experiments.sweep.work import work
from lit_models.errors import ConfigError

try:
    import optuna
    from optuna.trial import TrialState

    from experiments.sweep.space import Space, as_text, corners, read_space, settings_of
    from experiments.sweep.trials import Trials
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
    launcher = asked.launcher(asked.jobs or 1)
    checked = check([("fit", *asked.words, *settings_words(one)) for one in corners(space)], facts=True)
    final = Folder(place(checked.configs(), asked.experiment))
    folder = Folder(final.path.with_name(f"{final.path.name}-search"))
    with folder.alone(), final.alone():
        seed = asked.seeds_for(checked.configs())[0]
        study = open_study(folder.path / "study.db", asked, space, checked, seed)
        trials = Trials(study, space, folder, asked, checked, seed)
        folder.note({"command": asked.command, "seed": seed, "space": as_text(space)})
        over = len(study.get_trials(deepcopy=False, states=OVER))
        with Display(folder, max(asked.trials, over), over) as display:
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
        line = (*asked.words, *settings_words(best))
        again = check([("fit", *line)])
        config = again.configs()[0]
        short = settings_of({key: _rounded(value) for key, value in study.best_params.items()})
        label = label_of(short, {key: [value] for key, value in short.items()}, class_of(config, "model"))
        everywhere = asked.launcher(asked.jobs)
        return asked.run_all(everywhere, final, [Combination(label, line, config)], again.texts, {"chosen": best})


def open_study(path: Path, asked: "Asked", space: Space, checked: Checked, seed: int) -> optuna.Study:
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
    parallel = (asked.jobs or 1) > 1 or asked.ray is not None
    study.sampler = (
        optuna.samplers.TPESampler(seed=drawn, constant_liar=parallel)
        if asked.search == "tpe"
        else optuna.samplers.RandomSampler(seed=drawn)
    )
    return study


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
