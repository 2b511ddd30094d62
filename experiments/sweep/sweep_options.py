"""Options of ``evenhand sweep``, as typed."""

from dataclasses import dataclass
from pathlib import Path

from experiments.sweep.grid import parse_seeds
from experiments.sweep.plan import refuse_own
from lit_models.errors import ConfigError


@dataclass(frozen=True)
class SweepOptions:
    """Options of one sweep.

    Args:
        seeds: Words of ``--seeds``; empty for the one of the configuration, or 0.
        grid: Words of ``--grid``.
        resplit: Number of splits; None for the one of the configuration.
        experiment: The folder's name; None for the data's.
        jobs: Number of runs side by side; None for one, or as many as a cluster takes.
        ray: The cluster's address; None for this machine.
        search: The sampler; None for a grid.
        trials: Number of trials of a search.
        space: The file of a search's space.
        paper: The file of a published table, whose rows are run.
        rows: Names of the table's rows to run; empty for all.
        words: All other words, which are those of ``fit``.
        command: The whole command, for the record.
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

    def check(self) -> None:
        """Check the options against each other.

        Raises:
            ConfigError: For options that cannot be used, or not together.
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
        if self.search and (self.resplit or self.grid):
            option, why = (
                ("--resplit", "a search sees one split") if self.resplit else ("--grid", "--space has choices")
            )
            raise ConfigError(f"{option} does not go with --search, since {why}; leave one of them out")
        parse_seeds(self.seeds)
        refuse_own(self.words)
