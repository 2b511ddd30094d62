"""Options of ``evenhand sweep``, as typed."""

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path

from experiments.cli.typed_settings import typed_settings
from experiments.sweep.grid import parse_seeds
from lit_models.errors import ConfigError

TRIALS = 50
"""Trials of a search without ``--trials`` and ``--budget``."""

OF_THE_SWEEP = {
    "seed_everything": "type --seeds instead, also for a single one",
    "run": "leave it out, the runs are named by their settings",
    "ckpt_path": "leave it out, each run starts on its own or goes on where it was",
    "test_at_end": "leave it out, a search tests only what it chose",
}
"""Options of ``fit`` that a sweep gives to each run itself, and the advice for the user."""


@dataclass(frozen=True)
class SweepOptions:
    """Options of one sweep; ``experiments.verbs.sweep.parser`` describes each."""

    seeds: list[str]
    grid: list[str]
    resplit: int | None
    folds: int | None
    experiment: str | None
    jobs: int | None
    ray: str | None
    slurm: list[str] | None
    search: str | None
    each: str | None
    trials: int | None
    budget: str | None
    trial_seeds: int
    space: Path | None
    paper: Path | None
    rows: list[str]
    words: list[str]  # all others, which are those of fit
    command: list[str]  # the whole command, for the record

    @property
    def trial_count(self) -> int | None:
        """Number of trials of a search; None if a budget alone limits it."""
        return TRIALS if self.trials is None and self.budget is None else self.trials

    @property
    def budget_seconds(self) -> float:
        """Training time of the trials of a search, infinite without a budget.

        Raises:
            ConfigError: For text that is no time.
        """
        if self.budget is None:
            return inf
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", self.budget)
        if found is None or not float(found[1]):
            raise ConfigError(
                f"--budget {self.budget} is no time; write seconds, minutes or hours, as in 90s, 10m or 2h"
            )
        return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]

    def check(self) -> None:
        """Checks the options against each other.

        Raises:
            ConfigError: For options that cannot be used, or not together.
        """
        counts = {"jobs": self.jobs, "resplit": self.resplit, "trials": self.trials, "trial_seeds": self.trial_seeds}
        for option, value in counts.items():
            if value is not None and value < 1:
                raise ConfigError(f"--{option} is {value}; it is a number from 1 on")
        if self.folds is not None:
            if self.folds < 2:
                raise ConfigError(f"--folds is {self.folds}; cross-validation has at least 2 folds")
            if self.resplit:
                raise ConfigError(
                    "--folds decides the split of each run, so that --resplit does not go with it; leave one out"
                )
        if self.each is not None and self.search is None:
            raise ConfigError("--each gives every architecture the same trials of a search; add --search tpe")
        if (self.search is None) != (self.space is None and self.each is None):
            raise ConfigError("--search tpe and --space FILE or --each model=A,B belong together; add the other one")
        if self.paper is not None and (self.grid or self.search):
            raise ConfigError("--paper names the runs, as --grid and --search do; leave the other one out")
        if self.rows and self.paper is None:
            raise ConfigError("--rows are those of a published table, which --paper FILE names")
        if self.budget_seconds < inf and not self.search:
            raise ConfigError("--budget is the training time of a search; add --search tpe")
        if self.trial_seeds > 1 and not self.search:
            raise ConfigError("--trial_seeds are those of each trial of a search; add --search tpe, or type --seeds")
        if self.search and self.resplit:
            raise ConfigError("--resplit does not go with --search, since a search sees one split; leave one out")
        if self.search and self.grid:
            raise ConfigError("--grid does not go with --search, since --space has choices; leave one out")
        if self.ray is not None and self.slurm is not None:
            raise ConfigError("--ray and --slurm are two clusters; leave one of them out")
        parse_seeds(self.seeds)
        for key in typed_settings(self.words):
            if key in OF_THE_SWEEP:
                raise ConfigError(f"--{key} is no word of a sweep; {OF_THE_SWEEP[key]}")
