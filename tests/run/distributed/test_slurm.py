"""The batch script of the documentation, on a SLURM cluster of two machines on this one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
import torch
from paths import REPOSITORY
from slurm_cluster import Cluster, cluster, missing

from experiments.__main__ import main

SCRIPT = REPOSITORY / "docs/examples/slurm.sh"
HERE = "--parsable --ntasks-per-node 2 --gpus-per-node 0 --cpus-per-task 1"
WORDS = "--data MNIST1D --model LitLinear --trainer.max_epochs 6 --trainer.accelerator cpu"
MORE = "--figures false --seed_everything 3 --experiment e --data.batch_size 20"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason="needs Debian's packages slurmctld, slurmd, slurm-client and munge"),
]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of the same run in one process that nothing disturbs."""
    folder = tmp_path_factory.mktemp("alone")
    words = f"fit {WORDS} {MORE} --run alone --trainer.default_root_dir {folder}"
    assert main(words.split()) == 0
    return weights(folder / "runs/e/alone")


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    return state


def test_the_script_requeues_a_run_that_is_told_to_end(machines: Cluster, alone: dict[str, torch.Tensor]) -> None:
    def disturb(job: str) -> None:
        machines.ask("scancel", "--signal=TERM", job)  # what #SBATCH --signal has SLURM do ahead of the end

    record, output = requeued(machines, alone, disturb)
    assert output.count("Exited with") == output.count("Exited with exit code 143") > 0
    assert record["resumed"][0]["step"] % 165  # saved where it was, not where an epoch of 3,294 rows ends


def test_the_script_requeues_a_run_of_which_a_process_dies(machines: Cluster, alone: dict[str, torch.Tensor]) -> None:
    _, output = requeued(machines, alone, lambda job: os.kill(machines.process(job, 3), SIGKILL))
    assert "rank 3 of the 4 processes" in output


def test_the_script_leaves_a_mistake_alone(machines: Cluster) -> None:
    job = machines.ask("sbatch", *HERE.split(), str(SCRIPT), *WORDS.split(), "--data.batch_size", "101")
    machines.wait(lambda: machines.state(job) == "FAILED", job)
    assert "choose 100 or 104, a multiple of 4" in machines.printed(job)


def test_a_job_that_is_cancelled_stays_so(machines: Cluster) -> None:
    job = machines.ask("sbatch", *HERE.split(), str(SCRIPT), *f"{WORDS} {MORE}".split())
    machines.wait(lambda: "epoch 1/" in machines.printed(job), job)
    machines.ask("scancel", job)
    machines.wait(lambda: not machines.ask("squeue", "--noheader"), job)
    assert machines.state(job) == "CANCELLED"


def requeued(machines: Cluster, alone: dict[str, torch.Tensor], disturb: Any) -> tuple[dict[str, Any], str]:
    """A job that is disturbed in its third epoch ends as if nothing had been; its record and what it printed."""
    job = machines.ask("sbatch", *HERE.split(), str(SCRIPT), *f"{WORDS} {MORE}".split())
    machines.wait(lambda: "epoch 2/" in machines.printed(job), job)
    disturb(job)
    machines.wait(lambda: machines.state(job) == "PENDING", job)
    machines.wait(lambda: machines.state(job) == "COMPLETED", job)
    (run,) = machines.folder.glob(f"runs/e/*job{job}*")
    record: dict[str, Any] = json.loads((run / "record.json").read_text())
    assert record["status"] == "finished"
    assert record["device"]["processes"] == 4
    assert len(record["resumed"]) == 1
    assert all(torch.allclose(alone[name], tensor, atol=1e-5) for name, tensor in weights(run).items())
    return record, machines.printed(job)
