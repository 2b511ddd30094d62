"""Runs combinations of settings with every seed, for grids, published tables and searches alike."""

from collections.abc import Sequence
from typing import Any

from experiments.sweep.grid import parse_seeds
from experiments.sweep.local_launcher import Local
from experiments.sweep.plan import Combination, plan
from experiments.sweep.progress_display import Display
from experiments.sweep.run_result import COMPLETE
from experiments.sweep.scheduler import Launcher, Listed, work
from experiments.sweep.sweep_directory import Folder
from experiments.sweep.sweep_options import SweepOptions
from experiments.sweep.sweep_report import exit_code, report
from lit_models.errors import ConfigError


def run_combinations(
    options: SweepOptions,
    folder: Folder,
    combinations: Sequence[Combination],
    texts: Sequence[str],
    details: dict[str, object],
) -> int:
    """Run every combination with every seed and print their table.

    Args:
        options: Of the sweep.
        folder: Of the experiment, locked by this process.
        combinations: Settings to run.
        texts: The configuration of each, YAML.
        details: What ``sweep.json`` holds beside the command.

    Returns:
        The exit code.

    Raises:
        ConfigError: For runs that are there already with other settings.
    """
    seeds = seeds_of(options, [combination.config for combination in combinations])
    planned = plan(combinations, seeds, options.resplit, folder.path.name)
    for combination, run in planned:
        folder.refuse_others(run.name, texts[combinations.index(combination)])
    runs = [run for _, run in planned]
    folder.note({"command": options.command, "seeds": seeds, "runs": [run.name for run in runs]} | details)
    complete = sum(folder.status(run.name) in COMPLETE for run in runs)
    with Display(folder, len(runs), complete) as display:
        if complete:
            display.say(f"{complete} of {len(runs)} runs are finished already")
        outcomes, signal = work(launcher_of(options, options.jobs), Listed(folder, runs), folder, display)
    report(folder, runs, outcomes, folder.path.name)
    return exit_code(outcomes, signal)


def seeds_of(options: SweepOptions, configs: Sequence[dict[str, Any]]) -> list[int]:
    """Return the typed seeds, else the configurations' own, else 0.

    Raises:
        ConfigError: Where the configurations have several.
    """
    if options.seeds:
        return parse_seeds(options.seeds)
    seeds = [config["seed_everything"] for config in configs]
    own = {0 if isinstance(seed, bool) or seed is None else seed for seed in seeds}
    if len(own) > 1:
        raise ConfigError("the files have several seed_everything; type the one that all share, as in --seeds 0")
    return [*own]


def launcher_of(options: SweepOptions, jobs: int | None) -> Launcher:
    """Return the launcher for this machine or the typed cluster, with a number of runs side by side."""
    if options.ray is None:
        return Local(jobs or 1)
    from experiments.sweep.ray_launcher import Cluster

    return Cluster(options.ray, jobs)
