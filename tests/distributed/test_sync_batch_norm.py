"""Batch norm over two processes, beside torch's own in one, in float64."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from lit_models.cpu import shared_memory_gather
from lit_models.distributed.sync_batch_norm import GlobalBatchNorm

CASES = {
    "table": ((9, 8), 5, {}),
    "table of one row and eight": ((9, 8), 1, {}),
    "two rows": ((2, 8), 1, {}),
    "series": ((9, 8, 5), 4, {}),
    "images": ((9, 6, 7, 7), 2, {}),
    "channels last": ((9, 32, 7, 7), 5, {"last": True}),
    "not affine": ((9, 8), 4, {"affine": False}),
    "far from 0": ((9, 8), 4, {"mean": 1000.0}),
    "bfloat16": ((64, 8), 30, {"dtype": torch.bfloat16}),
    "weights of 16 bits": ((64, 8), 30, {"dtype": torch.bfloat16, "weights": torch.bfloat16}),
    "float64": ((9, 8), 4, {"dtype": torch.float64, "weights": torch.float64}),
}
"""A batch's shape, how many of its rows the first process has, and what is unusual."""


def rows_of(name: str) -> tuple[Tensor, Tensor]:
    """Inputs and gradients of the outputs."""
    shape, _, more = CASES[name]
    chance = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=chance) * 3 + more.get("mean", 2.0), torch.randn(shape, generator=chance)]
    layout = torch.channels_last if more.get("last") else torch.contiguous_format
    x, gradient = (tensor.to(more.get("dtype", torch.float32)).contiguous(memory_format=layout) for tensor in made)
    return x, gradient


def one_process(name: str) -> dict[str, Tensor]:
    """Passes the whole batch through torch's own batch norm."""
    x, gradient = (tensor.double() for tensor in rows_of(name))
    kind = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
    norm = weighted(kind(x.shape[1], affine=CASES[name][2].get("affine", True)).double())
    return passed(norm, x, gradient)


def weighted(norm: nn.Module) -> nn.Module:
    """With weights that are not 1 and 0."""
    for parameter in norm.parameters():
        nn.init.constant_(parameter, 0.5).data.add_(torch.arange(len(parameter)) / len(parameter))
    return norm


def passed(norm: nn.Module, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """Everything that comes of rows forward and back."""
    x.requires_grad_()
    outputs = norm(x)
    outputs.backward(gradient)
    assert x.grad is not None
    gradients = {name: parameter.grad for name, parameter in norm.named_parameters()}
    learned = {f"gradient of {name}": grad for name, grad in gradients.items() if grad is not None}
    return {"outputs": outputs.detach(), "gradient of rows": x.grad, **learned, **dict(norm.named_buffers())}


def work(rank: int, folder: Path, shared: bool) -> None:
    """One of two processes: its share of every case."""
    if not shared:
        shared_memory_gather.FOLDER = folder / "none"
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, (_, first, more) in CASES.items():
        x, gradient = rows_of(name)
        mine = slice(first) if rank == 0 else slice(first, None)
        norm = weighted(GlobalBatchNorm(x.shape[1], affine=more.get("affine", True)))
        norm = norm.to(more.get("weights", torch.float32))
        found = passed(norm, x[mine].detach().clone(), gradient[mine])
        torch.save(found, folder / f"{name}-{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.fixture(scope="module", params=[True, False], ids=["shared memory", "process group"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rank_runs")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    multiprocessing.start_processes(work, args=(folder, request.param), nprocs=2, start_method="fork")  # type: ignore[attr-defined, no-untyped-call]
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_normalize_as_one(folder: Path, name: str) -> None:
    whole = one_process(name)
    parts = [torch.load(folder / f"{name}-{rank}.pt") for rank in (0, 1)]
    rough = CASES[name][2].get("dtype") == torch.bfloat16
    all_rough = CASES[name][2].get("weights") == torch.bfloat16
    for key, expected in whole.items():
        both = [part[key].double() for part in parts]
        if key in ("outputs", "gradient of rows"):
            found = torch.cat(both)
        elif key.startswith("gradient"):
            found = both[0] + both[1]
        else:
            torch.testing.assert_close(both[0], both[1], rtol=0, atol=0)
            found = both[0]
        tolerance = {"rtol": 0.02, "atol": 0.02} if all_rough or (rough and "running" not in key) else {}
        close = {"rtol": 1e-4, "atol": 1e-4} | tolerance
        torch.testing.assert_close(found, expected.double(), msg=lambda text, key=key: f"{key}: {text}", **close)
