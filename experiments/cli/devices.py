"""Default devices of a run, and checks of the device options before any data are read."""

import os
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

from datamodules.loading.global_batch import check_batch
from experiments.run.precision import AnyPrecisionTrainer
from lit_models import ConfigError

FLAGS = ("accelerator", "strategy", "devices", "num_nodes", "precision")

NODE_VARIABLES = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables of a run on several machines whose processes are started by hand."""


def check_devices(config: Namespace, training: bool) -> None:
    """Validates the device options with a temporary Trainer, and for ``training`` that its processes divide a batch.

    Raises:
        MisconfigurationException: For options that Lightning refuses, as ValueError too.
        ConfigError: For a device without float64, a number of processes that differs from the launcher's, or several
            machines without a launcher.
        DataError: For a batch size that does not divide.
    """
    flags = {name: config.trainer.get(name) for name in FLAGS}
    plain = {name: value for name, value in flags.items() if isinstance(value, str | int)}
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    if plain.get("accelerator") == "gpu" and not (CUDAAccelerator.is_available() or MPSAccelerator.is_available()):
        raise ConfigError(
            "--trainer.accelerator gpu: torch sees none here; leave it out to take a GPU where there is one"
        )
    trainer = AnyPrecisionTrainer(**plain, **silent)  # type: ignore[arg-type]
    if isinstance(trainer.accelerator, MPSAccelerator):
        raise ConfigError("Apple's GPU has no float64, which targets are measured in; set --trainer.accelerator cpu")
    cluster = launcher()
    if cluster is not None and cluster[1] != trainer.world_size:  # each would be a run in the same folder
        raise ConfigError(
            f"{cluster[0]} has started {cluster[1]} processes, and --trainer.devices times --trainer.num_nodes is "
            f"{trainer.world_size}; leave both out, or have them agree"
        )
    environment = getattr(trainer.strategy, "cluster_environment", None)
    alone = isinstance(environment, LightningEnvironment) and not all(name in os.environ for name in NODE_VARIABLES)
    if (nodes := trainer.num_nodes) > 1 and alone:  # this process would wait half an hour for the others
        raise ConfigError(
            f"--trainer.num_nodes {nodes} wants the same command on {nodes} machines; start it by "
            f"torchrun --nnodes {nodes}, or with {', '.join(NODE_VARIABLES)} set on each, or set --trainer.num_nodes 1"
        )
    size = (config.data.get("init_args") or {}).get("batch_size")
    if training and isinstance(size, int) and size > 0:
        check_batch(size, trainer.world_size, config.trainer.accumulate_grad_batches or 1)


def launcher() -> tuple[str, int] | None:
    """Returns the name of the launcher of this process and its number of processes, or None without one."""
    # Commands of a batch script itself have no other process.
    if SLURMEnvironment.detect() and "SLURM_STEP_ID" in os.environ:
        return "SLURM", int(os.environ["SLURM_NTASKS"])
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["WORLD_SIZE"])
    return None


def device_defaults() -> dict[str, Any]:
    """Returns the Trainer's default device options: one GPU if there is one, else the CPU.

    Lightning's defaults take all GPUs, so that a batch size that divides on one machine does not on another; and
    Apple's GPU, which has no float64. Under torchrun and SLURM there are as many devices as processes were started.
    """
    devices: dict[str, Any] = {"devices": 1}
    if (cluster := launcher()) is not None:
        name, processes = cluster
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        local = max(1, processes // nodes) if name == "SLURM" else int(os.environ["LOCAL_WORLD_SIZE"])
        devices = {"devices": local, "num_nodes": max(1, processes // local)}
    elif LSFEnvironment.detect() or MPIEnvironment.detect():
        devices = {}
    return {**devices, "accelerator": "cpu"} if MPSAccelerator.is_available() else devices
