"""Fully sharded parameters, which Lightning has for GPUs alone: torch's own on two processes of a CPU."""

import os
import socket
from functools import partial
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from lit_models import LitTransformer
from lit_models.optimizers import build_optimizer, dims


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
        state = {name.replace("_fsdp_wrapped_module.", ""): one for name, one in sharded.state_dict().items()}
        for name, expected in whole.state_dict().items():
            assert torch.allclose(state[name], expected, atol=1e-6), name
    distributed.destroy_process_group()


@pytest.mark.slow
def test_sharded_parameters_are_stepped_as_whole_ones_and_decay_where_those_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, args=(port,), nprocs=2)
