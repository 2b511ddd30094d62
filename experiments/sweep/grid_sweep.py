"""Sweeps over a grid of settings or the rows of a published table."""

from collections.abc import Callable, Sequence
from typing import Any

from experiments.compare.published_table_file import read_paper
from experiments.sweep.config_check import check
from experiments.sweep.grid import combinations, parse_grid, refuse_typed, settings_words
from experiments.sweep.plan import Combination, class_of, label_of, place
from experiments.sweep.runner import run_combinations
from experiments.sweep.sweep_directory import Folder
from experiments.sweep.sweep_options import SweepOptions


def grid_sweep(options: SweepOptions) -> int:
    """Run a grid or a published table; return the exit code.

    Raises:
        ConfigError: For words that cannot be used, before anything runs.
        SystemExit: For words that ``fit`` refuses, after their error was printed.
    """
    if options.resplit:
        refuse_typed(options.words, ["data.split_seed"], "--resplit")
    if options.paper is not None:
        paper = read_paper(options.paper).only(options.rows)
        labels, lines = [row.name for row in paper.rows], [(*row.words, *options.words) for row in paper.rows]
        return _run(options, lines, lambda configs: labels, options.experiment or paper.experiment, {})
    grid = parse_grid(options.grid)
    refuse_typed(options.words, list(grid), "--grid")
    settings = combinations(grid)

    def names(configs: Sequence[dict[str, Any]]) -> list[str]:
        models = [class_of(config, "model") for config in configs]
        return [label_of(values, grid, model) for values, model in zip(settings, models, strict=True)]

    lines = [(*options.words, *settings_words(values)) for values in settings]
    return _run(options, lines, names, options.experiment, {"grid": grid})


def _run(
    options: SweepOptions,
    lines: Sequence[tuple[str, ...]],
    names: Callable[[Sequence[dict[str, Any]]], Sequence[str]],
    experiment: str | None,
    details: dict[str, object],
) -> int:
    checked = check([("fit", *line) for line in lines])
    configs = checked.configs()
    made = [Combination(*parts) for parts in zip(names(configs), lines, configs, strict=True)]
    folder = Folder(place(configs, experiment))
    with folder.alone():
        return run_combinations(options, folder, made, checked.texts, details)
