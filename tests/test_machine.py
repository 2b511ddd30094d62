"""Which devices a run takes where nobody says, on machines that are not at hand: with GPUs, of Apple, in a cluster."""

from collections.abc import Callable

import pytest
import torch
from conftest import Fit
from lightning.fabric.accelerators import mps
from lightning.pytorch.accelerators import MPSAccelerator

from experiments.machine import device_defaults
from experiments.run.resume import part_ways

WORDS = ["--data", "tiny_package.Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1"]


def test_nobody_who_types_no_devices_gets_several(fit: Fit) -> None:
    assert device_defaults() == {"devices": 1}
    assert "\n  devices: 1\n" in (fit(*WORDS)["path"] / "config.yaml").read_text()


@pytest.mark.parametrize(
    "started",
    [
        {"TORCHELASTIC_RUN_ID": "1", "LOCAL_RANK": "0", "RANK": "0", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "batch", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"},
    ],
)
def test_a_cluster_has_said_how_many(monkeypatch: pytest.MonkeyPatch, started: dict[str, str]) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    assert device_defaults() == {}


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
    assert not torch.backends.cuda.matmul.allow_tf32


def test_no_two_processes_draw_the_same_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    for rank in range(4):
        torch.manual_seed(5)
        part_ways(rank)
        assert torch.initial_seed() == 5  # of which the order of the rows is a function
    assert seeds == [6, 7, 8]
