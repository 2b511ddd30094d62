"""Runs as tasks of a Ray cluster, whose machines share the folder of the runs.

Ray chooses the machine by the CPUs and GPUs that a run requests, and starts the task on another one if a machine is
lost. The run then resumes from its last checkpoint, as after any kill.
"""

import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from typing_extensions import override

from experiments.run.atomic_write import write_json
from experiments.run.record.record_io import read_record
from experiments.sweep.grid import Run
from experiments.sweep.local_launcher import start_process
from experiments.sweep.run_result import COMPLETE
from experiments.sweep.scheduler import Launcher
from experiments.sweep.sweep_directory import Folder
from lit_models.errors import ConfigError

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise ConfigError("--ray needs ray; pip install '.[ray]' in the checkout") from error

SAVE_SECONDS = 60.0
"""That a stopped run has to save."""


class Cluster(Launcher):
    """Launcher of tasks on a Ray cluster, which queues those without room.

    Raises:
        ConfigError: Without a cluster at the address; ``auto`` is that of this machine.
    """

    def __init__(self, address: str, jobs: int | None = None) -> None:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        try:
            if colon and port.isdecimal():  # before Ray, which tries for a minute
                socket.create_connection((host, int(port)), timeout=10).close()
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"--ray {address}: {' '.join(str(error).split())[:200]}") from error
        super().__init__(jobs)

    @override
    def start(self, run: Run, folder: Folder) -> None:
        gpus = min(1, int(ray.cluster_resources().get("GPU", 0))) if run.gpus is None else run.gpus
        task = ray.remote(run_task).options(num_cpus=run.cpus, num_gpus=gpus, name=run.name)
        self.tasks[task.remote(run, str(folder.path.absolute()), os.getcwd())] = run

    @override
    def ended(self) -> list[tuple[Run, int]]:
        done, _ = ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=0) if self.tasks else ([], [])
        return [(self.tasks.pop(task), _code(task)) for task in done]

    @override
    def stop(self, run: Run) -> None:
        for task, other in self.tasks.items():
            if other == run:
                ray.cancel(task)  # which stops the task's run


def run_task(run: Run, path: str, cwd: str) -> int:
    """Runs on the machine that Ray chose, in the working directory of the sweep, and returns the exit code."""
    os.chdir(cwd)
    folder = Folder(Path(path))
    await_other_process(folder.path / run.name)
    if folder.status(run.name) in COMPLETE:
        return 0
    process = start_process(run, folder.log(run.name), dict(os.environ))
    try:
        while (code := process.poll()) is None:  # Ray's cancellation does not interrupt a wait
            time.sleep(0.2)
        return code
    except BaseException:  # Ray's cancellation is a KeyboardInterrupt
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(SAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def await_other_process(path: Path) -> None:
    """Waits until no process has a run in progress; that of a lost machine has ended, whatever the record's status."""
    while (record := Folder(path.parent).record(path.name)).get("status") == "running":
        host = record.get("process", {}).get("host")
        nodes = {node["NodeManagerHostname"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
        if host not in nodes or not _is_running(path, nodes[host]):
            write_json(path / "record.json", record | {"status": "interrupted"})
            return
        time.sleep(1)


def _is_running(path: Path, node: str) -> bool:
    """Returns True if the process of a run is alive, checked on its own machine."""
    affinity = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(read_record).options(num_cpus=0, scheduling_strategy=affinity, max_retries=0)
    try:
        return bool(ray.get(task.remote(path)).get("status") == "running")
    except (OSError, ConfigError):
        return False
    except ray.exceptions.RayError:  # the machine is being lost
        return path.exists()


def _code(task: Any) -> int:
    """Returns the exit code of a task; one that Ray gave up counts as killed."""
    try:
        return int(ray.get(task))
    except ray.exceptions.TaskCancelledError:
        return -signal.SIGTERM
    except ray.exceptions.RayError:
        return -signal.SIGKILL
