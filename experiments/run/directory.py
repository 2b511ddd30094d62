"""Where a run lives: ``runs/<experiment>/<run>/``."""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule

from lit_models import ConfigError

LAUNCHED = "EVENHAND_RUN"
"""Tells the processes that Lightning launches for more devices the name that the first one chose."""


@dataclass(frozen=True)
class RunDirectory:
    """A run's place and names.

    Args:
        root: The folder of all runs.
        experiment: Runs that belong together.
        run: This one's name.
    """

    root: Path
    experiment: str
    run: str

    @property
    def path(self) -> Path:
        """The run's own folder."""
        return self.root / self.experiment / self.run

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt`` and ``last.ckpt``."""
        return self.path / "checkpoints"

    @classmethod
    def choose(cls, config: Namespace, model: LightningModule, data: LightningDataModule) -> "RunDirectory":
        """Names as typed; else the data's for the experiment, and model, seed and time for the run.

        Raises:
            ConfigError: For a name that cannot be a folder's, or a run that is there already.
        """
        root = Path(config.trainer.get("default_root_dir") or ".") / "runs"
        experiment = _checked("experiment", config.experiment or type(data).__name__.lower())
        if config.run is None and LAUNCHED in os.environ:
            return cls(root, experiment, os.environ[LAUNCHED])
        if config.run is not None:
            run = _checked("run", config.run)
            if (root / experiment / run).exists() and LAUNCHED not in os.environ:
                raise ConfigError(f"the run {root / experiment / run} is there already; choose another --run")
        else:
            stem = f"{type(model).__name__}-seed{config.seed_everything}-{datetime.now():%Y%m%d-%H%M%S}"
            return cls.free(root, experiment, stem)
        return cls(root, experiment, run)

    @classmethod
    def free(cls, root: Path, experiment: str, stem: str) -> "RunDirectory":
        """The first of ``stem``, ``stem-2``, ``stem-3`` ... that no run has."""
        run, again = stem, 2
        while (root / experiment / run).exists():
            run, again = f"{stem}-{again}", again + 1
        return cls(root, experiment, run)


def job_seed() -> int | None:
    """The same seed in every process that a launcher such as torchrun or SLURM started for one job; else None."""
    job = os.environ.get("TORCHELASTIC_RUN_ID") or os.environ.get("SLURM_JOB_ID")
    return int(hashlib.sha256(job.encode()).hexdigest()[:7], 16) if job else None


def _checked(what: str, name: str) -> str:
    if not re.fullmatch(r"[\w][\w .+=,@-]*", name):
        raise ConfigError(f"--{what} {name!r} cannot name a folder; use letters, digits and . + = , @ _ -")
    return name
