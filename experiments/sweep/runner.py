"""Runs grids of settings, published tables and the settings that a search has chosen, with every seed."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.cli.typed_settings import AUTO
from experiments.compare.configuration_identity import spelled
from experiments.compare.groups import Group, comparable, distinguish, grouped, unlike
from experiments.compare.learning_curve import FRACTION, learning_curves
from experiments.compare.load_runs import read_runs
from experiments.compare.method_notes import method_notes_of
from experiments.compare.published_table_file import read_paper
from experiments.compare.same_rows import with_inputs
from experiments.compare.seed_curves import aggregate
from experiments.compare.summary_table import side_by_side
from experiments.compare.table_formats import to_terminal
from experiments.console import Console
from experiments.run.record.custom_scalars import MEANS
from experiments.run.record.hyperparameters import flat_settings
from experiments.run.record.record_io import read_record
from experiments.sweep.config_check import check
from experiments.sweep.cross_validation import report_folds
from experiments.sweep.grid import Run, Settings, combinations, parse_grid, parse_seeds, refuse_typed, settings_words
from experiments.sweep.local_launcher import Local
from experiments.sweep.plan import Combination, Repeats, class_of, experiment_folder, label_of, plan
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import COMPLETE, Outcome
from experiments.sweep.scheduler import Launcher, Listed, work
from experiments.sweep.sweep_directory import Folder
from experiments.sweep.sweep_options import SweepOptions
from lit_models.errors import ConfigError

Configs = Sequence[dict[str, Any]]


def run_grid(options: SweepOptions) -> int:
    """Runs a grid or a published table; returns the exit code.

    Raises:
        ConfigError: For words that cannot be used, before anything runs.
        SystemExit: For words that ``fit`` refuses, after their error was printed.
    """
    if options.resplit:
        refuse_typed(options.words, ["data.split_seed"], "--resplit")
    folds = [] if options.folds is None else [f"--data.folds={options.folds}"]
    grid = parse_grid(options.grid)
    if folds:
        refuse_typed([*options.words, *(f"--{key}=" for key in grid)], ["data.folds", "data.fold"], "--folds")
    refuse_typed(options.words, list(grid), "--grid")
    settings = combinations(grid)
    lines = [(*options.words, *settings_words(values), *folds) for values in settings]
    experiment, details = options.experiment, {"grid": grid}
    if options.paper is not None:
        paper = read_paper(options.paper).only(options.rows)
        lines = [(*row.words, *options.words, *folds) for row in paper.rows]
        experiment, details = options.experiment or paper.experiment, {}
    with closing(launcher_of(options, options.jobs)) as launcher:
        checked = check([("fit", *line) for line in lines], launcher.check)
        configs = checked.configs()
        if options.paper is not None:
            labels = [row.name for row in paper.rows]
        else:
            _refuse_repeated(settings, configs)
            models = [class_of(config, "model") for config in configs]
            labels = [label_of(values, grid, model) for values, model in zip(settings, models, strict=True)]
        curves = _curve_names(settings, grid, configs) if options.paper is None else [""] * len(labels)
        planned = [Combination(*values) for values in zip(labels, lines, configs, checked.texts, curves, strict=True)]
        folder = Folder(experiment_folder(configs, experiment))
        with folder.locked():
            return run_combinations(launcher, options, folder, planned, details)


def run_combinations(
    launcher: Launcher,
    options: SweepOptions,
    folder: Folder,
    combinations: Sequence[Combination],
    details: Mapping[str, object],
) -> int:
    """Runs every combination with every seed, prints their table, and returns the exit code.

    The folder is locked by this process; ``details`` are added to its ``sweep.json``.

    Raises:
        ConfigError: For existing runs with other settings.
    """
    seeds = seeds_of(options, [combination.config for combination in combinations])
    planned = plan(combinations, seeds, Repeats(options.resplit, options.folds), folder.path.name)
    for combination, run in planned:
        folder.refuse_others(run.name, combination.text, run.fold)
    runs = [run for _, run in planned]
    folder.add_sweep({"command": options.command, "seeds": seeds, "runs": [run.name for run in runs], **details})
    complete = sum(folder.status(run.name) in COMPLETE for run in runs)
    with Display(folder, len(runs), complete) as display:
        if complete:
            display.say(f"{complete} of {len(runs)} runs are finished already")
        outcomes, signal = work(launcher, Listed(folder, runs), folder, display)
    report(folder, runs, outcomes)
    if options.folds is not None:
        report_folds(folder.path, runs, options.folds)
    _report_learning_curves(folder, {folder.path / run.name: combination.curve for combination, run in planned})
    return exit_code(outcomes, signal)


def seeds_of(options: SweepOptions, configs: Configs) -> list[int]:
    """Returns the typed seeds, else the configurations' own, else 0.

    Raises:
        ConfigError: If the configurations have several.
    """
    if options.seeds:
        return parse_seeds(options.seeds)
    seeds = [config["seed_everything"] for config in configs]
    own = {0 if isinstance(seed, bool) or seed is None else seed for seed in seeds}
    if len(own) > 1:
        raise ConfigError("the files have several seed_everything; type the one that all share, as in --seeds 0")
    return [*own]


def launcher_of(options: SweepOptions, jobs: int | None) -> Launcher:
    """Returns the launcher for this machine or the typed cluster, with a number of runs side by side."""
    if options.ray is not None:
        from experiments.sweep.ray_launcher import Cluster

        return Cluster(options.ray, jobs)
    if options.slurm is not None:
        from experiments.sweep.slurm_launcher import Slurm

        return Slurm(options.slurm, jobs)
    return Local(jobs or 1)


def report(folder: Folder, runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
    """Prints tables of the finished runs, and reasons of those that failed or that no table has; draws mean curves."""
    console = Console(highlight=False, soft_wrap=True)
    labels = {folder.path / run.name: run.label for run in runs}
    paths = [path for path in labels if (path / "record.json").exists()]
    finished, left = read_runs(paths) if paths else ([], [])
    finished = with_inputs(finished)
    alike = grouped(finished, lambda run: (labels[run.path], run.task, run.fingerprints[0], run.rank_by))
    groups = [Group(same, labels[same[0].path]) for same in alike]
    blocks = comparable(groups)
    for block in blocks:
        distinguish(block.groups)
        records = [read_record(run.path) | {"label": group.label} for group in block.groups for run in group.runs]
        reason = "" if block is blocks[0] else f"; not compared with the first: {unlike(blocks[0], block)}"
        to_terminal(side_by_side(records, folder.path.name + reason))
    for line in method_notes_of(blocks):
        console.print(line, markup=False)
    curves: dict[str, list[Path]] = {}
    for group in groups:
        name = f"{group.label} data {group.runs[0].fingerprints[0][:6]}" if group.label in curves else group.label
        while name in curves:  # the same label and data with another task or ranking metric
            name += "-2"
        curves[name] = [run.path for run in group.runs]
    means = aggregate(folder.path, curves)
    complete = {folder.path / run.name for run in runs if folder.status(run.name) in COMPLETE}
    for each in left:
        if each.path in complete:
            console.print(f"{each.path.name}  is in no table: {each.reason}", markup=False)
    for outcome in outcomes:
        if not outcome.complete:
            console.print(outcome.line(), markup=False)
            console.print(f"  again: evenhand {shlex.join(outcome.run.words)}", markup=False)
            console.print(f"  its output: {folder.log(outcome.run.name)}", markup=False)
    rest = "" if len(complete) == len(runs) else "; the same command goes on with the others"
    console.print(f"{len(complete)} of {len(runs)} runs are finished: {folder.path}{rest}")
    console.print(f"side by side: evenhand compare {folder.path}\ncurves: tensorboard --logdir {folder.path}")
    if means:
        console.print(f"  means of the groups (runs mean$, tags ^(train/loss|val/)): {MEANS}")
        console.print("  means with their sd: http://localhost:6006/#custom_scalars")


def _report_learning_curves(folder: Folder, names: Mapping[Path, str]) -> None:
    """Prints whether more train rows would help, and draws the learning curves of runs by their names, if any."""
    paths = [path for path, name in names.items() if name and (path / "record.json").exists()]
    runs = with_inputs(read_runs(paths)[0]) if paths else []
    curves = learning_curves({run: names[run.path] for run in runs})
    lines = [curve.answer() for block in curves for curve in block]
    if curves and find_spec("matplotlib") is None:
        lines.append("no learning curve is drawn: it needs matplotlib; pip install '.[figures]' in the checkout")
    elif curves:
        from experiments.compare.learning_curve_figure import write_figures

        lines += [f"learning curve: {path}" for path in write_figures(folder.path, curves)]
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False)


def _curve_names(settings: Sequence[Settings], grid: dict[str, list[str]], configs: Configs) -> list[str]:
    """Returns the label of each combination without the fraction of train rows; empty without several fractions.

    A model that the data choose may differ from fraction to fraction.
    """
    if len(grid.get(FRACTION, [])) < 2:
        return [""] * len(settings)
    names = []
    for values in settings:
        rest = {key: value for key, value in values.items() if key != FRACTION}
        alike = zip(settings, configs, strict=True)
        models = {class_of(config, "model") for other, config in alike if rest.items() <= other.items()}
        names.append(label_of(rest, grid, models.pop() if len(models) == 1 else AUTO))
    return names


def exit_code(outcomes: Sequence[Outcome], signal: int | None) -> int:
    """Returns 0 if all runs are complete, else the signal's code, else that of the first run that failed."""
    if signal is not None:
        return 128 + signal
    return next((outcome.code or 1 for outcome in outcomes if not outcome.complete), 0)


def _refuse_repeated(settings: Sequence[Settings], configs: Configs) -> None:
    """Refuses two combinations that are one configuration, as 1e-3 and 0.001 are one learning rate.

    ``model=auto`` may choose one that is typed as well: who types it cannot know.
    """
    seen: list[tuple[dict[str, Any], Settings]] = []
    for values, config in zip(settings, configs, strict=True):
        flat = {name: spelled(name, value) for name, value in flat_settings(config).items()}
        whole = flat | {key: value for key, value in config.items() if key not in ("data", "model", "trainer")}
        for other, first in seen:
            if whole == other and AUTO not in (values.get("model"), first.get("model")):
                names = [", ".join(f"{key}={value}" for key, value in each.items()) for each in (first, values)]
                raise ConfigError(f"--grid: {names[0]} and {names[1]} are one configuration; leave one of them out")
        seen.append((whole, values))
