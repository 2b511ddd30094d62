"""Runs as tasks of a Ray cluster, whose machines share the folder of the runs.

Ray chooses the machine by the CPUs and GPUs that a run asks for, and starts the task again on another one when a
machine is lost. The run then goes on from its last checkpoint, as after any kill.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from experiments.run.record.record_io import read_record
from experiments.sweep.grid import Run
from experiments.sweep.local_launcher import start
from experiments.sweep.run_result import COMPLETE
from experiments.sweep.sweep_directory import Folder
from lit_models.errors import ConfigError

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ConfigError("--ray needs ray; pip install 'evenhand[ray]'") from error

SAVING = 60.0
"""Seconds that a run gets to save when it is told to stop."""


class Cluster:
    """Every run a task.

    Args:
        address: The cluster's, ``auto`` for the one that this machine belongs to.
        jobs: How many tasks there are at once; None for as many as there are runs.

    Raises:
        ConfigError: Where there is no cluster.
    """

    def __init__(self, address: str, jobs: int | None = None) -> None:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        try:
            if colon and port.isdecimal():  # ahead of Ray, which tries for a minute
                socket.create_connection((host, int(port)), timeout=10).close()
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"--ray {address}: {' '.join(str(error).split())[:200]}") from error
        self.jobs = jobs
        self._tasks: dict[Any, Run] = {}

    def has_room(self) -> bool:
        """Whether there is another task to be had; the cluster keeps those that it has no room for."""
        return self.jobs is None or len(self._tasks) < self.jobs

    def start(self, run: Run, folder: Folder) -> None:
        """Hand it to the cluster."""
        gpus = min(1, int(ray.cluster_resources().get("GPU", 0))) if run.gpus is None else run.gpus
        task = ray.remote(run_task).options(num_cpus=run.cpus, num_gpus=gpus, name=run.name)
        self._tasks[task.remote(run, str(folder.path.absolute()), os.getcwd())] = run

    def running(self) -> list[Run]:
        """Those that the cluster has."""
        return list(self._tasks.values())

    def ended(self) -> list[tuple[Run, int]]:
        """Those that it is done with; a task that Ray gave up counts as killed."""
        done, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0) if self._tasks else ([], [])
        return [(self._tasks.pop(task), _code(task)) for task in done]

    def stop(self, run: Run) -> None:
        """Cancel it; the task tells its run to save."""
        for task, one in self._tasks.items():
            if one == run:
                ray.cancel(task)


def run_task(run: Run, path: str, cwd: str) -> int:
    """On the machine that Ray chose: a run's exit code.

    Args:
        run: Which.
        path: The experiment's folder.
        cwd: Where the sweep was started.
    """
    os.chdir(cwd)
    folder = Folder(Path(path))
    settle(folder.path / run.name)
    if folder.status(run.name) in COMPLETE:
        return 0
    process = start(run, folder.log(run.name), dict(os.environ))
    try:
        while (code := process.poll()) is None:  # Ray's cancelling does not reach into a wait
            time.sleep(0.2)
        return code
    except BaseException:  # Ray's cancelling is a KeyboardInterrupt
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(SAVING)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def settle(path: Path) -> None:
    """Wait until no process is at a run; that of a lost machine is at it no longer, whatever the record says."""
    while (record := _record(path)).get("status") == "running":
        host = record["process"]["host"]
        nodes = {node["NodeManagerHostname"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
        if host not in nodes or not _is_at_it(path, nodes[host]):
            beside = path / "record.json.lost"
            beside.write_text(json.dumps(record | {"status": "interrupted"}, indent=2) + "\n")
            os.replace(beside, path / "record.json")
            return
        time.sleep(1)


def _is_at_it(path: Path, node: str) -> bool:
    """Whether the process of a run is alive, asked on its own machine, which alone can tell."""
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    asked = ray.remote(_record).options(num_cpus=0, scheduling_strategy=there, max_retries=0)
    try:
        return bool(ray.get(asked.remote(path)).get("status") == "running")
    except ray.exceptions.RayError:  # the machine is being lost
        return path.exists()


def _record(path: Path) -> dict[str, Any]:
    try:
        return read_record(path)
    except (OSError, ValueError):
        return {}


def _code(task: Any) -> int:
    try:
        return int(ray.get(task))
    except ray.exceptions.TaskCancelledError:
        return -signal.SIGTERM
    except ray.exceptions.RayError:
        return -signal.SIGKILL
