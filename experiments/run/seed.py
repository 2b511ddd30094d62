"""The seed of a run for which none was typed."""

import hashlib
import os
import secrets

from experiments.run.directory import LAUNCHED, job_id
from experiments.run.reading import process


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
