"""Small tensors of several processes, by shared memory and by the process group."""

import os
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from lit_models import exchange as shared_memory
from lit_models.exchange import Exchange, exchange

PROCESSES, MESSAGES = 3, 120
HERE = shared_memory.usable()
"""Whether this computer has what it takes."""


def meet(rank: int, processes: int, folder: Path) -> None:
    """A process group by a file of this name."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{folder}", rank=rank, world_size=processes)


def message(rank: int, number: int) -> Tensor:
    """What a process sends: sizes, shapes and types in turn, some too large for shared memory."""
    chance = torch.Generator().manual_seed(1000 * number + rank)
    columns = (1, 7, 129, 30_000)[number % 4]
    kinds = (torch.float32, torch.float64, torch.bfloat16)
    return torch.randn(2, columns, generator=chance).to(kinds[number % 3]).transpose(0, number % 2)


def send_all(rank: int, folder: Path, shared: bool) -> None:
    """Many messages, some of them late."""
    meet(rank, PROCESSES, folder / "first")
    if rank == 1 and not shared:
        shared_memory.FOLDER = folder / "none"  # as on a computer that does not have it
    assert exchange().shared == (shared and HERE)
    for number in range(MESSAGES):
        if number % 40 == rank:
            time.sleep(0.02)
        found = exchange().gather(message(rank, number))
        assert torch.equal(found, torch.stack([message(one, number) for one in range(PROCESSES)]))
        if number == MESSAGES // 2:  # another group is another exchange
            before = exchange()
            distributed.barrier()
            distributed.destroy_process_group()
            meet(rank, PROCESSES, folder / "second")
            assert exchange() is not before
    distributed.barrier()
    (folder / f"{rank}").touch()


@pytest.mark.parametrize("shared", [True, False])
def test_everybody_gets_every_message(tmp_path: Path, shared: bool) -> None:
    before = set(shared_memory.FOLDER.glob("evenhand-*"))
    multiprocessing.spawn(send_all, args=(tmp_path, shared), nprocs=PROCESSES)  # type: ignore[attr-defined, no-untyped-call]
    assert {one.name for one in tmp_path.iterdir()} >= {"0", "1", "2"}
    assert set(shared_memory.FOLDER.glob("evenhand-*")) == before


def die(rank: int, folder: Path) -> None:
    """The second process ends without a word, and the first says so."""
    meet(rank, 2, folder / "meeting")
    opened = Exchange()
    opened.gather(torch.zeros(3))
    if rank:
        os._exit(0)
    with pytest.raises(RuntimeError, match="process 1 of 2 has ended"):
        opened.gather(torch.zeros(3))
    (folder / "said").touch()


@pytest.mark.skipif(not HERE, reason="needs Linux on an x86 processor")
def test_a_process_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    multiprocessing.spawn(die, args=(tmp_path,), nprocs=2)  # type: ignore[attr-defined, no-untyped-call]
    assert (tmp_path / "said").exists()
