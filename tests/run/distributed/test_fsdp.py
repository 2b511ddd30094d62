"""Fully sharded parameters, which Lightning has for GPUs alone: on two processes of a CPU."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from paths import HELPERS
from torch import distributed, multiprocessing, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from lit_models import LitTransformer
from lit_models.training.optimizer import build_optimizer, dims


def model() -> LitTransformer:
    torch.manual_seed(0)
    facts: dict[str, Any] = {"task": "regression", "modality": "series", "input_shape": (3, 8), "num_outputs": 1}
    return LitTransformer(**facts, width=8, num_layers=1, dropout=0.0)


def step(network: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
    network(x).square().mean().backward()
    optimizer.step()


def work(rank: int, port: int) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    decaying = partial(torch.optim.SGD, lr=0.1, weight_decay=0.5)
    x, whole, shared = torch.randn(6, 3, 8, generator=torch.Generator().manual_seed(1)), model(), model()
    axes = dims(shared)

    step(whole, build_optimizer(decaying, whole), x)
    sharded = FullyShardedDataParallel(shared, device_id=torch.device("cpu"), use_orig_params=True)
    step(sharded, build_optimizer(decaying, shared, axes=axes), x[rank::2])
    with FullyShardedDataParallel.summon_full_params(sharded):
        state = {name.replace("_fsdp_wrapped_module.", ""): tensor for name, tensor in sharded.state_dict().items()}
        for name, expected in whole.state_dict().items():
            assert torch.allclose(state[name], expected, atol=1e-6), name
    distributed.destroy_process_group()


@pytest.mark.slow
def test_sharded_parameters_are_stepped_as_whole_ones_and_decay_where_those_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(port,), nprocs=2)


PROGRAM = HELPERS / "fsdp_on_cpu.py"
WORDS = "fit --data Diabetes --data.batch_size 50 --model LitMLP --model.dropout 0 --model.norm layer"
WORDS += " --trainer.max_epochs 4 --trainer.accelerator cpu --trainer.devices 2 --seed_everything 1 --experiment e"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A fit of two processes by its name and what it has besides; its record, and the state of its last checkpoint."""
    root = tmp_path_factory.mktemp("sharded")

    def fit(name: str, *words: str) -> dict[str, Any]:
        more = [*words, "--run", name, "--figures", "false", "--trainer.default_root_dir", str(root)]
        done = subprocess.run([sys.executable, PROGRAM, *WORDS.split(), *more], capture_output=True, text=True)
        path = root / "runs" / "e" / name
        record = json.loads((path / "record.json").read_text()) if path.exists() else {}
        last = path / "checkpoints" / "last.ckpt"
        state = torch.load(last, weights_only=True)["state_dict"] if last.exists() else {}
        looks = path / "test_looks.jsonl"
        record["looks"] = looks.read_text().splitlines() if looks.exists() else []
        return {**record, "code": done.returncode, "stderr": done.stderr, "state": state}

    return fit


FSDP = ("--trainer.strategy", "fsdp")


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--trainer.gradient_clip_val", "0.1"), ("--trainer.precision", "bf16-mixed")])
def test_a_fit_learns_measures_and_keeps_what_one_with_whole_weights_does(run: Run, more: tuple[str, ...]) -> None:
    name = "-".join(("whole", *more))
    float32 = [word for word in more if word not in ("--trainer.precision", "bf16-mixed")]  # autocast is CUDA's here
    expected, there = run(name, *float32), run(f"sharded{name}", *FSDP, *more)
    assert there["code"] == 0, there["stderr"]
    assert there["status"] == "finished"
    assert there["metrics"] == pytest.approx(expected["metrics"], rel=1e-5)
    assert there["parameters"] == expected["parameters"]
    assert len(there["looks"]) == 1
    for name, value in expected["state"].items():
        torch.testing.assert_close(there["state"][name], value, atol=1e-5, rtol=1e-5)
        assert there["state"][name].dtype == value.dtype
    assert torch.equal(there["state"]["task.center"], expected["state"]["task.center"])


@pytest.mark.slow
def test_a_fit_that_goes_on_is_the_one_that_was_not_interrupted(run: Run) -> None:
    run("halves", *FSDP, "--trainer.max_epochs", "2")
    halves, once = run("halves", *FSDP), run("once", *FSDP)
    assert halves["resumed"]
    assert halves["metrics"] == once["metrics"]
    assert all(torch.equal(value, once["state"][name]) for name, value in halves["state"].items())


@pytest.mark.slow
@pytest.mark.parametrize("more", ["--model.compile true", "--trainer.callbacks+=EMAWeightAveraging"])
def test_what_parts_of_weights_cannot_do_is_refused(run: Run, more: str) -> None:
    refused = run("refused", *FSDP, *more.split())
    assert refused["code"] == 2
    assert "use ddp" in refused["stderr"]
    assert not refused["state"]


@pytest.mark.slow
def test_weights_of_half_the_bits_leave_the_targets_theirs(run: Run) -> None:
    whole, halves = run("float32"), run("halves-true", *FSDP, "--trainer.precision", "bf16-true")
    assert halves["code"] == 0, halves["stderr"]
    assert torch.equal(halves["state"]["task.center"], whole["state"]["task.center"])
    assert halves["metrics"] == pytest.approx(whole["metrics"], rel=0.05)
