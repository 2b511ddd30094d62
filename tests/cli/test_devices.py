"""Which devices a run takes where nobody says, on machines that are not at hand: with GPUs, of Apple, in a cluster."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Fit
from jsonargparse import Namespace
from lightning.fabric.accelerators import mps
from lightning.pytorch.accelerators import MPSAccelerator

from experiments.cli.devices import check_devices, device_defaults
from experiments.run.resume.exact_state import part_ways
from lit_models import ConfigError

WORDS = ["--data", "tiny_package.Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1"]


def test_nobody_who_types_no_devices_gets_several(fit: Fit) -> None:
    assert device_defaults() == {"devices": 1}
    assert "\n  devices: 1\n" in (fit(*WORDS)["path"] / "config.yaml").read_text()


TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_RANK": "0", "RANK": "0", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
SLURM = {
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "6",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "3",
    "SLURM_JOB_NAME": "batch",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}


@pytest.mark.parametrize("started", [TORCHRUN | {"WORLD_SIZE": "6"}, SLURM])
def test_a_cluster_has_said_how_many(
    monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], started: dict[str, str]
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    assert device_defaults() == {"devices": 2, "num_nodes": 3}
    output = refused(*WORDS, "--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.num_nodes", "1")
    assert "has started 6 processes" in output
    monkeypatch.delenv("SLURM_STEP_ID", raising=False)  # a command of the batch script itself, without srun
    assert "SLURM_NTASKS" not in started or device_defaults() == {"devices": 1}


def test_machines_that_nobody_has_started_are_not_waited_for(refused: Callable[..., str]) -> None:
    output = refused(*WORDS, "--trainer.accelerator", "cpu", "--trainer.num_nodes", "2")
    assert "torchrun --nnodes 2" in output
    assert "NODE_RANK" in output


def test_machines_that_a_person_starts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = Namespace(accelerator="cpu", devices=1, num_nodes=2, strategy="auto")
    config = Namespace(trainer=flags, data=Namespace())
    for name, value in (("NODE_RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        with pytest.raises(ConfigError, match="wants the same command on 2 machines"):
            check_devices(config, training=False)
        monkeypatch.setenv(name, value)
    check_devices(config, training=False)


@pytest.mark.slow  # tests/run/distributed/test_ranks.py has its variables, without its start
def test_torchrun_alone_says_it(tmp_path: Path) -> None:
    words = ["fit", *WORDS[2:], "--data", "Diabetes", "--trainer.accelerator", "cpu", "--run", "one"]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "--",
        "experiments",
        *words,
    ]
    subprocess.run([*command, "--experiment", "e"], cwd=tmp_path, check=True, capture_output=True)
    assert json.loads((tmp_path / "runs/e/one/record.json").read_text())["device"]["processes"] == 2


def test_an_apple_computer_trains_on_its_processor(
    monkeypatch: pytest.MonkeyPatch, fit: Fit, refused: Callable[..., str]
) -> None:
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: True)
    monkeypatch.setattr(mps, "_get_all_available_mps_gpus", lambda: [0])
    assert "set --trainer.accelerator cpu" in refused(*WORDS, "--trainer.accelerator", "gpu")
    assert fit(*WORDS)["device"]["type"] == "cpu"


def test_float32_is_whole_on_a_gpu(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    fit(*WORDS)
    assert not torch.backends.cudnn.allow_tf32


def test_no_two_processes_draw_the_same_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    for rank in range(4):
        torch.manual_seed(5)
        part_ways(rank)
        assert torch.initial_seed() == 5  # of which the order of the rows is a function
    assert len(set(seeds)) == 3
    assert not {*seeds} & {*range(100)}  # seeds of other runs
