"""A sweep from its words to its table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.papers import read_paper
from experiments.sweep.checking import check
from experiments.sweep.display import Display
from experiments.sweep.folder import Folder
from experiments.sweep.grid import combinations, parse_grid, parse_seeds, refuse_typed, settings_words
from experiments.sweep.local import Local
from experiments.sweep.naming import label_of
from experiments.sweep.outcome import COMPLETE
from experiments.sweep.plan import Combination, class_of, place, plan, refuse_own
from experiments.sweep.report import exit_code, report
from experiments.sweep.work import Launcher, Listed, work
from lit_models.errors import ConfigError


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Args:
        seeds: Words of ``--seeds``; empty for the one of the configuration, or 0.
        grid: Words of ``--grid``.
        resplit: How many splits; None for the one of the configuration.
        experiment: The folder's name; None for the data's.
        jobs: How many runs side by side; None for one, or as many as a cluster takes.
        ray: The cluster's address; None for this machine.
        search: The sampler; None for a grid.
        trials: How many trials a search has.
        space: The file of a search's space.
        paper: The file of a published table, whose rows are run.
        rows: Names of those that are; empty for all.
        words: The others, which are those of ``fit``.
        command: All of them, for the record.
    """

    seeds: list[str]
    grid: list[str]
    resplit: int | None
    experiment: str | None
    jobs: int | None
    ray: str | None
    search: str | None
    trials: int
    space: Path | None
    paper: Path | None
    rows: list[str]
    words: list[str]
    command: list[str]

    def run(self) -> int:
        """Run it all; the exit code.

        Raises:
            ConfigError: For words that cannot be used, before anything runs.
            SystemExit: For words of ``fit`` that cannot be, after their error was printed.
        """
        for option, value in (("jobs", self.jobs), ("resplit", self.resplit), ("trials", self.trials)):
            if value is not None and value < 1:
                raise ConfigError(f"--{option} is {value}; it is a number from 1 on")
        if (self.search is None) != (self.space is None):
            raise ConfigError("--search tpe and --space FILE belong together; add the other one, or leave both out")
        if self.paper is not None and (self.grid or self.search):
            raise ConfigError("--paper names the runs, as --grid and --search do; leave the other one out")
        if self.rows and self.paper is None:
            raise ConfigError("--rows are those of a published table, which --paper FILE names")
        parse_seeds(self.seeds)  # what is wrong with them is told before anything is done
        refuse_own(self.words)
        if self.search:
            from experiments.sweep.search import search

            return search(self)
        if self.resplit:
            refuse_typed(self.words, ["data.split_seed"], "--resplit")
        launcher = self.launcher(self.jobs)
        if self.paper is not None:
            paper = read_paper(self.paper).only(self.rows)
            labels, lines = [row.name for row in paper.rows], [(*row.words, *self.words) for row in paper.rows]
            return self.run_lines(launcher, lines, lambda configs: labels, self.experiment or paper.experiment, {})
        grid = parse_grid(self.grid)
        refuse_typed(self.words, list(grid), "--grid")
        settings = combinations(grid)

        def named(configs: Sequence[dict[str, Any]]) -> list[str]:
            models = [class_of(config, "model") for config in configs]
            return [label_of(one, grid, model) for one, model in zip(settings, models, strict=True)]

        lines = [(*self.words, *settings_words(one)) for one in settings]
        return self.run_lines(launcher, lines, named, self.experiment, {"grid": grid})

    def run_lines(
        self,
        launcher: Launcher,
        lines: Sequence[tuple[str, ...]],
        named: Callable[[Sequence[dict[str, Any]]], Sequence[str]],
        experiment: str | None,
        asked: dict[str, object],
    ) -> int:
        """Check the words of every combination, and run it with every seed; the exit code.

        Args:
            launcher: Where they go.
            lines: Words of ``fit``, those of a combination each.
            named: Gives the combinations' names for their configurations.
            experiment: The folder's name; None for the data's.
            asked: What ``sweep.json`` tells beside the command.
        """
        checked = check([("fit", *line) for line in lines])
        configs = checked.configs()
        made = [Combination(*one) for one in zip(named(configs), lines, configs, strict=True)]
        folder = Folder(place(configs, experiment))
        with folder.alone():
            return self.run_all(launcher, folder, made, checked.texts, asked)

    def run_all(
        self,
        launcher: Launcher,
        folder: Folder,
        made: Sequence[Combination],
        texts: Sequence[str],
        asked: dict[str, object],
    ) -> int:
        """Run every combination with every seed, and print their table; the exit code.

        Args:
            launcher: Where they go.
            folder: Of the experiment, held alone.
            made: The combinations.
            texts: Of each its configuration.
            asked: What ``sweep.json`` tells beside the command.
        """
        seeds = self.seeds_for([one.config for one in made])
        planned = plan(made, seeds, self.resplit, folder.path.name)
        for combination, run in planned:
            folder.refuse_others(run.name, texts[made.index(combination)])
        runs = [run for _, run in planned]
        folder.note({"command": self.command, "seeds": seeds, "runs": [run.name for run in runs]} | asked)
        complete = sum(folder.status(run.name) in COMPLETE for run in runs)
        with Display(folder, len(runs), complete) as display:
            if complete:
                display.say(f"{complete} of {len(runs)} runs are finished already")
            outcomes, signal = work(launcher, Listed(folder, runs), folder, display)
        report(folder, runs, outcomes, folder.path.name)
        return exit_code(outcomes, signal)

    def seeds_for(self, configs: Sequence[dict[str, Any]]) -> list[int]:
        """Those that were typed, else the configurations' own, else 0.

        Raises:
            ConfigError: Where the configurations have several.
        """
        if self.seeds:
            return parse_seeds(self.seeds)
        seeds = [config["seed_everything"] for config in configs]
        own = {0 if isinstance(seed, bool) or seed is None else seed for seed in seeds}
        if len(own) > 1:
            raise ConfigError("the files have several seed_everything; type the one that all share, as in --seeds 0")
        return [*own]

    def launcher(self, jobs: int | None) -> Launcher:
        """Where the runs go, so many side by side."""
        if self.ray is None:
            return Local(jobs or 1)
        from experiments.sweep.cluster import Cluster

        return Cluster(self.ray, jobs)
