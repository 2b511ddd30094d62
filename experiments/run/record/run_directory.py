"""Where a run lives: ``runs/<experiment>/<run>/``."""

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule

from experiments.run.record.record_io import config_files, process
from lit_models import ConfigError

LAST = "last"


def drawn_seed() -> int:
    """A new seed, the same in every process of the run.

    A process that Lightning launched takes the seed of the one that launched it. Under SLURM and torchrun it follows
    from the job's id; under torchrun without an id, where all processes are on one machine, from their parent process.
    """
    if LAUNCHED in os.environ and "LOCAL_RANK" in os.environ:
        return int(os.environ["PL_GLOBAL_SEED"])
    shared, here = job_id(), os.environ.get("LOCAL_WORLD_SIZE")
    if shared is None and here is not None and here == os.environ.get("WORLD_SIZE"):
        shared = str(process(os.getppid()))
    if shared is None:
        return secrets.randbelow(2**31)
    return int(hashlib.sha256(shared.encode()).hexdigest()[:7], 16)


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

        Under SLURM or torchrun the job's id stands for the time, and a digest of the configuration beside it: a job
        that is started again goes on with its run, and another command of the same job is another run.

        Raises:
            ConfigError: For a name that cannot be a folder's.
        """
        root = root_of(config.trainer.get("default_root_dir"))
        experiment = _checked("experiment", config.experiment or type(data).__name__.lower())
        if config.run is None and LAUNCHED in os.environ:
            return cls(root, experiment, os.environ[LAUNCHED])
        if config.run is not None:
            return cls(root, experiment, _checked("run", config.run))
        stem = f"{type(model).__name__}-seed{config.seed_everything}"
        if (job := job_id()) is not None:
            typed = hashlib.sha256(str(config.as_dict()).encode()).hexdigest()[:6]
            return cls(root, experiment, f"{stem}-job{job}-{typed}")
        return cls.free(root, experiment, f"{stem}-{datetime.now():%Y%m%d-%H%M%S}")

    @classmethod
    def free(cls, root: Path, experiment: str, stem: str) -> "RunDirectory":
        """The first of ``stem``, ``stem-2``, ``stem-3`` ... that no run has."""
        run, again = stem, 2
        while (root / experiment / run).exists():
            run, again = f"{stem}-{again}", again + 1
        return cls(root, experiment, run)


def job_id() -> str | None:
    """The id that SLURM, or torchrun with ``--rdzv-id``, gave the job; a requeued or restarted one keeps it."""
    array = [os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK")]
    known = (os.environ.get("TORCHELASTIC_RUN_ID"), "-".join(filter(None, array)), os.environ.get("SLURM_JOB_ID"))
    # torchrun calls every job "none" that got no id.
    return next((re.sub(r"[^\w.-]", "-", one) for one in known if one and one != "none"), None)


def root_of(default_root_dir: str | None) -> Path:
    """The folder of all runs."""
    return Path(default_root_dir or ".") / "runs"


def _checked(what: str, name: str) -> str:
    if not re.fullmatch(r"[\w][\w .+=,@-]*", name):
        raise ConfigError(f"--{what} {name!r} cannot name a folder; use letters, digits and . + = , @ _ -")
    return name


def keep_config(directory: RunDirectory, text: str, changed: bool) -> None:
    """Write the configuration; where another one is there, it stays, and this one stands beside it."""
    files = config_files(directory.path)
    if not files[0].exists():
        files[0].write_text(text)
    elif changed:
        (directory.path / f"config-{len(files) + 1}.yaml").write_text(text)
