"""Runs grids of settings, published tables and the settings that a search has chosen, with every seed."""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

from experiments.compare.published_table_file import read_paper
from experiments.compare.seed_curves import aggregate
from experiments.compare.summary_table import side_by_side
from experiments.console import Console
from experiments.run.record.hyperparameters import flat_settings, spelled
from experiments.sweep.config_check import check
from experiments.sweep.grid import Run, Settings, combinations, parse_grid, parse_seeds, refuse_typed, settings_words
from experiments.sweep.local_launcher import Local
from experiments.sweep.plan import Combination, class_of, experiment_folder, label_of, plan
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
    launcher = launcher_of(options, options.jobs)
    if options.resplit:
        refuse_typed(options.words, ["data.split_seed"], "--resplit")
    if options.paper is not None:
        paper = read_paper(options.paper).only(options.rows)
        lines = [(*row.words, *options.words) for row in paper.rows]
        experiment = options.experiment or paper.experiment
        return _run_lines(launcher, options, lines, lambda configs: [row.name for row in paper.rows], experiment, {})
    grid = parse_grid(options.grid)
    refuse_typed(options.words, list(grid), "--grid")
    settings = combinations(grid)

    def labels(configs: Configs) -> list[str]:
        models = [class_of(config, "model") for config in configs]
        _refuse_repeated(settings, configs)
        return [label_of(values, grid, model) for values, model in zip(settings, models, strict=True)]

    lines = [(*options.words, *settings_words(values)) for values in settings]
    return _run_lines(launcher, options, lines, labels, options.experiment, {"grid": grid})


def run_combinations(
    launcher: Launcher,
    options: SweepOptions,
    folder: Folder,
    combinations: Sequence[Combination],
    texts: Sequence[str],
    details: dict[str, object],
) -> int:
    """Runs every combination with every seed and prints their table.

    Args:
        launcher: Where the runs go.
        options: Of the sweep.
        folder: Of the experiment, locked by this process.
        combinations: Settings to run.
        texts: YAML text of the configuration of each.
        details: Added to ``sweep.json``.

    Returns:
        The exit code.

    Raises:
        ConfigError: For existing runs with other settings.
    """
    seeds = seeds_of(options, [combination.config for combination in combinations])
    planned = plan(combinations, seeds, options.resplit, folder.path.name)
    for combination, run in planned:
        folder.refuse_others(run.name, texts[combinations.index(combination)])
    runs = [run for _, run in planned]
    folder.add_sweep({"command": options.command, "seeds": seeds, "runs": [run.name for run in runs]} | details)
    complete = sum(folder.status(run.name) in COMPLETE for run in runs)
    with Display(folder, len(runs), complete) as display:
        if complete:
            display.say(f"{complete} of {len(runs)} runs are finished already")
        outcomes, signal = work(launcher, Listed(folder, runs), folder, display)
    report(folder, runs, outcomes)
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
    if options.ray is None:
        return Local(jobs or 1)
    from experiments.sweep.ray_launcher import Cluster

    return Cluster(options.ray, jobs)


def report(folder: Folder, runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
    """Prints the table of all finished runs, and failed runs with their reasons; draws mean curves.

    Args:
        folder: Of the experiment.
        runs: Of the sweep, with those finished before.
        outcomes: Of the runs of this command.
    """
    console = Console(highlight=False, soft_wrap=True)
    records: list[dict[str, Any]] = [
        record | {"label": run.label}
        for run in runs
        if (record := folder.record(run.name)).get("status") == "finished" and record.get("metrics")
    ]
    groups: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault(record["label"], []).append(record["run"])
    tables = _comparable(records)
    for index, alike in enumerate(tables):
        title = "; not compared with the first: other data, splits, task or metrics" if index else ""
        console.print(side_by_side(alike, folder.path.name + title))
    aggregate(folder.path, {label: [folder.path / name for name in names] for label, names in groups.items()})
    for outcome in outcomes:
        if not outcome.complete:
            console.print(outcome.line(), markup=False)
            console.print(f"  again: evenhand {shlex.join(outcome.run.words)}", markup=False)
            console.print(f"  its output: {folder.log(outcome.run.name)}", markup=False)
    rest = "" if len(records) == len(runs) else "; the same command goes on with the others"
    console.print(f"{len(records)} of {len(runs)} runs are finished: {folder.path}{rest}")
    console.print(f"side by side: evenhand compare {folder.path}\ncurves: tensorboard --logdir {folder.path}")


def _comparable(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Sorts runs into tables as ``compare`` does: the same rows, splits, task and metrics; the largest first."""
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record["label"], set()).add(record["fingerprints"]["split"])
    tables: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for record in records:
        key = (record["fingerprints"]["data"], record["task"], record["rank_by"], *record["metrics"])
        tables.setdefault((*key, *sorted(splits[record["label"]])), []).append(record)
    return sorted(tables.values(), key=len, reverse=True)


def exit_code(outcomes: Sequence[Outcome], signal: int | None) -> int:
    """Returns 0 if all runs are complete, else the signal's code, else that of the first run that failed."""
    if signal is not None:
        return 128 + signal
    return next((outcome.code or 1 for outcome in outcomes if not outcome.complete), 0)


def _refuse_repeated(settings: Sequence[Settings], configs: Configs) -> None:
    """Refuses two combinations that are one configuration, as 1e-3 and 0.001 are one learning rate."""
    seen: list[dict[str, Any]] = []
    for values, config in zip(settings, configs, strict=True):
        flat = {name: spelled(name, value) for name, value in flat_settings(config).items()}
        whole = flat | {key: value for key, value in config.items() if key not in ("data", "model", "trainer")}
        if whole in seen:
            first = settings[seen.index(whole)]
            names = [", ".join(f"{key}={value}" for key, value in each.items()) for each in (first, values)]
            raise ConfigError(f"--grid: {names[0]} and {names[1]} are one configuration; leave one of them out")
        seen.append(whole)


def _run_lines(
    launcher: Launcher,
    options: SweepOptions,
    lines: Sequence[tuple[str, ...]],
    labels: Callable[[Configs], Sequence[str]],
    experiment: str | None,
    details: dict[str, object],
) -> int:
    checked = check([("fit", *line) for line in lines])
    configs = checked.configs()
    combinations = [Combination(*values) for values in zip(labels(configs), lines, configs, strict=True)]
    folder = Folder(experiment_folder(configs, experiment))
    with folder.locked():
        return run_combinations(launcher, options, folder, combinations, checked.texts, details)
