"""The folder of a run, ``runs/<experiment>/<run>/``: its name, its seed and its configuration."""

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jsonargparse import Namespace
from lightning.pytorch import LightningModule

from datamodules import DataModule
from experiments.run.atomic_write import write_atomically
from experiments.run.record.config_diff import Changes
from experiments.run.record.record_io import config_file, config_files, config_of, process
from experiments.run.record.run_lock import acquire
from lit_models import ConfigError

LAST = "last"
"""Value of ``--ckpt_path`` for the newest run with a checkpoint."""

LONGEST_NAME = 200
"""Bytes of a folder's name: file systems allow 255 for a name together with the ending of a temporary file."""

LAUNCHED = "EVENHAND_RUN"
"""Environment variable with the run's name, for processes that Lightning launches on further devices."""


def drawn_seed() -> int:
    """Draws a new seed, the same in every process of the run.

    A process that Lightning launched takes the seed of its launcher. Under SLURM and torchrun the seed follows from the
    job's id; under torchrun without an id, if all processes are on one machine, from their parent process.
    """
    if LAUNCHED in os.environ and "LOCAL_RANK" in os.environ:
        return int(os.environ["PL_GLOBAL_SEED"])
    shared, local = job_id(), os.environ.get("LOCAL_WORLD_SIZE")
    if shared is None and local is not None and local == os.environ.get("WORLD_SIZE"):
        shared = str(process(os.getppid()))
    if shared is None:
        return secrets.randbelow(2**31)
    return int(hashlib.sha256(shared.encode()).hexdigest()[:7], 16)


@dataclass(frozen=True)
class RunDirectory:
    """The folder of a run: that of all runs, the name of its group and its own."""

    root: Path
    experiment: str
    run: str

    @property
    def path(self) -> Path:
        """The folder."""
        return self.root / self.experiment / self.run

    @property
    def checkpoints(self) -> Path:
        """The folder of ``best.ckpt`` and ``last.ckpt`` in it."""
        return self.path / "checkpoints"

    @classmethod
    def choose(cls, config: Namespace, model: LightningModule, data: DataModule) -> "RunDirectory":
        """Returns the typed names; by default the data's name, and model, seed and time for the run.

        Under SLURM or torchrun the job's id and a digest of the configuration replace the time: a restarted job resumes
        its run, and another command of the same job is another run. Raises ConfigError for a name that cannot be a
        folder's.
        """
        root = root_of(config.trainer.get("default_root_dir"))
        experiment = _checked("experiment", config.experiment or data.data_name.lower())
        if config.run is None and LAUNCHED in os.environ:
            return cls(root, experiment, os.environ[LAUNCHED])
        if config.run is not None:
            return cls(root, experiment, _checked("run", config.run))
        stem = f"{type(model).__name__}-seed{config.seed_everything}"
        if (job := job_id()) is not None:
            digest = hashlib.sha256(str(config.as_dict()).encode()).hexdigest()[:6]
            return cls(root, experiment, f"{stem}-job{job}-{digest}")
        return cls.free(root, experiment, f"{stem}-{datetime.now():%Y%m%d-%H%M%S}")

    @classmethod
    def free(cls, root: Path, experiment: str, stem: str) -> "RunDirectory":
        """Locks and returns the first of ``stem``, ``stem-2``, ``stem-3`` ... without a run."""
        run, again = stem, 2
        while (path := root / experiment / run).exists() or acquire(path) or path.exists():
            run, again = f"{stem}-{again}", again + 1
        return cls(root, experiment, run)


def job_id() -> str | None:
    """Returns the id of a job under SLURM, or torchrun with ``--rdzv-id``, which a restarted job keeps."""
    array = [os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK")]
    ids = (os.environ.get("TORCHELASTIC_RUN_ID"), "-".join(filter(None, array)), os.environ.get("SLURM_JOB_ID"))
    # torchrun names a job without an id "none".
    return next((re.sub(r"[^\w.-]", "-", name) for name in ids if name and name != "none"), None)


def find_run(root: Path, experiment: str | None, run: str | None, last: bool) -> RunDirectory | None:
    """Returns the run of a name, or with ``last`` the newest with a checkpoint; None without a run of that name.

    None for ``experiment`` or ``run`` looks in all. Raises ConfigError for a name in several experiments, or without a
    run that ``last`` could mean.
    """
    # glob would take * and [ in a name for a pattern
    folders = [root / experiment] if experiment else sorted(root.iterdir()) if root.is_dir() else []
    runs = [path for folder in folders for path in (sorted(folder.iterdir()) if folder.is_dir() else [])]
    runs = [path for path in runs if (path / "record.json").is_file() and run in (None, path.name)]
    if last:
        runs = [path for path in runs if list((path / "checkpoints").glob("*.ckpt"))]
        if not runs:
            raise ConfigError(f"--ckpt_path last: no run with a checkpoint is in {root / (experiment or '')}")
        runs = [max(runs, key=lambda path: (path / "record.json").stat().st_mtime_ns)]
    if len(runs) > 1:
        names = ", ".join(path.parent.name for path in runs)
        raise ConfigError(f"--run {run} is in several experiments ({names}); add --experiment NAME")
    return RunDirectory(root, runs[0].parent.name, runs[0].name) if runs else None


def root_of(default_root_dir: str | None) -> Path:
    """Returns the folder of all runs."""
    return Path(default_root_dir or ".") / "runs"


def _checked(option: str, name: str) -> str:
    if not re.fullmatch(r"[\w][\w .+=,@-]*", name) or len(name.encode()) > LONGEST_NAME:
        raise ConfigError(
            f"--{option} {name[:LONGEST_NAME]!r} cannot name a folder; use at most {LONGEST_NAME} letters, digits and "
            ". + = , @ _ -"
        )
    return name


def keep_config(folder: Path, text: str) -> str:
    """Writes the configuration, under the next number if the run has another one; returns the name of the file.

    A file that the record does not name is that of a killed start, and is removed.
    """
    files, is_run = config_files(folder), (folder / "record.json").is_file()
    file = config_file(folder) if is_run else None
    for unused in files[files.index(file) + 1 :] if file else files:
        unused.unlink(missing_ok=True)
    if file is None:
        file = files[0]
    elif Changes.between(config_of(folder), text).values:
        file = folder / f"config-{int(file.stem.partition('-')[2] or 1) + 1}.yaml"
    else:
        return file.name
    write_atomically(file, text.encode())
    return file.name
