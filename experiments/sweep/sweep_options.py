"""Options of ``evenhand sweep``, as typed."""

from dataclasses import dataclass
from pathlib import Path

from experiments.sweep.grid import parse_seeds
from experiments.sweep.plan import refuse_run_options
from lit_models.errors import ConfigError


@dataclass(frozen=True)
class SweepOptions:
    """Options of one sweep; ``experiments.verbs.sweep.parser`` describes each.

    Args:
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
        """Checks the options against each other.

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
        if self.search and self.resplit:
            raise ConfigError("--resplit does not go with --search, since a search sees one split; leave one out")
        if self.search and self.grid:
            raise ConfigError("--grid does not go with --search, since --space has choices; leave one out")
        parse_seeds(self.seeds)
        refuse_run_options(self.words)
