"""Which devices a run takes where nobody says, how exact their float32 is, and what they lack."""

import os
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.accelerators import MPSAccelerator

from datamodules.loading.global_batch import check_batch
from experiments.run.precision import AnyPrecisionTrainer
from lit_models import ConfigError

FLAGS = ("accelerator", "strategy", "devices", "num_nodes", "precision")

OF_A_MACHINE = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables that say which of several machines this is and where the first one listens, where a person starts each."""


def check_devices(config: Namespace, training: bool) -> None:
    """Try the flags about devices on a Trainer that is thrown away, and divide the batch by what comes of them.

    Args:
        config: Of a verb.
        training: Whether it trains, so that the batch size means something.

    Raises:
        MisconfigurationException: As Lightning says it.
        ValueError: Likewise.
        ConfigError: For a device that cannot be trained on, another number of processes than was started, or machines
            of which this is none.
        DataError: For a batch size that does not divide.
    """
    flags = {name: config.trainer.get(name) for name in FLAGS}
    plain = {name: value for name, value in flags.items() if isinstance(value, str | int)}
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = AnyPrecisionTrainer(**plain, **silent)  # type: ignore[arg-type]
    if isinstance(trainer.accelerator, MPSAccelerator):
        raise ConfigError("Apple's GPU has no float64, which targets are measured in; set --trainer.accelerator cpu")
    cluster = started()
    if cluster is not None and cluster[1] != trainer.world_size:  # each would be a run of its own, in one folder
        raise ConfigError(
            f"{cluster[0]} has started {cluster[1]} processes, and --trainer.devices times --trainer.num_nodes is "
            f"{trainer.world_size}; leave both out, or have them agree"
        )
    environment = getattr(trainer.strategy, "cluster_environment", None)
    alone = isinstance(environment, LightningEnvironment) and not all(name in os.environ for name in OF_A_MACHINE)
    if (nodes := trainer.num_nodes) > 1 and alone:  # it would wait half an hour for the others
        raise ConfigError(
            f"--trainer.num_nodes {nodes} wants the same command on {nodes} machines; start it by "
            f"torchrun --nnodes {nodes}, or with {', '.join(OF_A_MACHINE)} set on each, or set --trainer.num_nodes 1"
        )
    size = (config.data.get("init_args") or {}).get("batch_size")
    if training and isinstance(size, int) and size > 0:
        check_batch(size, trainer.world_size, config.trainer.accumulate_grad_batches or 1)


def started() -> tuple[str, int] | None:
    """Who has started this process beside others, and how many in all; None where nobody has, or does not say it."""
    if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ:  # a batch script's own commands are alone
        return "SLURM", int(os.environ["SLURM_NTASKS"])
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    return None


def device_defaults() -> dict[str, Any]:
    """The Trainer's flags of devices where none is typed: one GPU where there is one, else the CPU.

    Lightning's own take every GPU, and another number of them on another machine, which a batch may not divide by; and
    Apple's GPU, which has no float64. Under torchrun and SLURM they are as many as were started.
    """
    devices: dict[str, Any] = {"devices": 1}
    together = started()
    if together is not None:
        who, processes = together
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        here = max(1, processes // nodes) if who == "SLURM" else int(os.environ["LOCAL_WORLD_SIZE"])
        devices = {"devices": here, "num_nodes": max(1, processes // here)}
    elif LSFEnvironment.detect() or MPIEnvironment.detect():
        devices = {}
    return {**devices, "accelerator": "cpu"} if MPSAccelerator.is_available() else devices
