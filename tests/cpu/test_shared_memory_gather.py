"""Small tensors of several processes, by shared memory and by the process group."""

import gc
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from lit_models.cpu import shared_memory_gather as shared_memory
from lit_models.cpu.shared_memory_gather import Exchange, exchange

PROCESSES, MESSAGES = 3, 120
HERE = shared_memory.usable()
"""Whether this computer has what it takes."""


def meet(rank: int, processes: int, folder: Path) -> None:
    """A process group by a file of this name."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{folder}", rank=rank, world_size=processes)


def part(rank: int, processes: int, folder: Path, name: str = "") -> None:
    """Leave the group together: it fails where one leaves before the last message is read, or with the process."""
    (folder / f"{name}{rank}").touch()
    while not all((folder / f"{name}{rank}").exists() for rank in range(processes)):
        time.sleep(0.01)
    distributed.destroy_process_group()


def message(rank: int, number: int) -> Tensor:
    """Returns a process's message: sizes, shapes and types in turn, some too large for shared memory."""
    chance = torch.Generator().manual_seed(1000 * number + rank)
    columns = (1, 7, 129, 30_000)[number % 4]
    kinds = (torch.float32, torch.float64, torch.bfloat16)
    return torch.randn(2, columns, generator=chance).to(kinds[number % 3]).transpose(0, number % 2)


def send_all(rank: int, folder: Path, shared: bool) -> None:
    """Many messages, some of them late, in two groups one after another."""
    meet(rank, PROCESSES, folder / "first")
    # One of them is as on a computer that does not have it.
    shared_memory.FOLDER = folder / ("none" if rank == 1 and not shared else "memory")
    assert exchange().shared == (shared and HERE)
    for number in range(MESSAGES):
        if number % 40 == rank:
            time.sleep(0.02)
        found = exchange().gather(message(rank, number))
        assert torch.equal(found, torch.stack([message(rank, number) for rank in range(PROCESSES)]))
        if number == MESSAGES // 2:  # another group is another exchange
            before = exchange()
            part(rank, PROCESSES, folder, "half-")
            meet(rank, PROCESSES, folder / "second")
            assert exchange() is not before
    part(rank, PROCESSES, folder)


@pytest.mark.parametrize("shared", [True, False])
def test_everybody_gets_every_message(tmp_path: Path, shared: bool) -> None:
    (tmp_path / "memory").mkdir()
    multiprocessing.start_processes(send_all, args=(tmp_path, shared), nprocs=PROCESSES, start_method="fork")  # type: ignore[attr-defined, no-untyped-call]
    assert {path.name for path in tmp_path.iterdir()} >= {"0", "1", "2"}
    assert not list((tmp_path / "memory").iterdir())  # nothing is left


def lose_one(rank: int, folder: Path) -> None:
    """One of three processes is late, and then ends without a word: both others say which."""
    meet(rank, 3, folder / "meeting")
    shared_memory.PERIOD = 0.05
    opened = Exchange(limit=20)
    if rank == 2:
        time.sleep(0.5)
    opened.gather(torch.zeros(3))
    if rank == 2:
        os._exit(0)
    with pytest.raises(RuntimeError, match="process 2 of 3 has ended"):
        opened.gather(torch.zeros(3))
    part(rank, 2, folder)  # the other one does not find out by this one's end


def stop_sending(rank: int, folder: Path) -> None:
    """The second process lives and does not send."""
    meet(rank, 2, folder / "meeting")
    shared_memory.PERIOD = 0.05
    opened = Exchange(limit=0.3)
    if rank == 0:
        with pytest.raises(RuntimeError, match="process 1 of 2 has sent nothing"):
            opened.gather(torch.zeros(3))
    part(rank, 2, folder)


def take_another(rank: int, folder: Path) -> None:
    """The second process finds another computer's file under the name; nobody shares memory then."""
    meet(rank, 2, folder / "meeting")
    if rank:
        (folder / "other").write_bytes(bytes(1 << 20))
        original = Exchange._map
        Exchange._map = lambda self, path, *rest: original(self, folder / "other", *rest)  # type: ignore[method-assign]
    opened = Exchange()
    assert not opened.shared
    assert opened.gather(torch.tensor([float(rank)])).tolist() == [[0.0], [1.0]]
    part(rank, 2, folder)


@pytest.mark.skipif(not HERE, reason="needs Linux on an x86 processor")
@pytest.mark.parametrize(("failure", "processes"), [(lose_one, 3), (stop_sending, 2), (take_another, 2)])
def test_nobody_waits_for_ever(tmp_path: Path, failure: Callable[[int, Path], None], processes: int) -> None:
    multiprocessing.start_processes(failure, args=(tmp_path,), nprocs=processes, start_method="fork")  # type: ignore[attr-defined, no-untyped-call]
    assert (tmp_path / "0").exists()


@pytest.mark.skipif(not HERE, reason="needs Linux on an x86 processor")
def test_no_file_is_left_where_it_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    monkeypatch.setattr(Exchange, "_map", fail)
    meet(0, 1, tmp_path / "meeting")
    with pytest.raises(MemoryError):
        exchange()
    assert not list(tmp_path.glob("evenhand-*"))
    distributed.destroy_process_group()


@pytest.mark.skipif(not HERE, reason="needs Linux on an x86 processor")
def test_an_exchange_ends_with_its_group(tmp_path: Path) -> None:
    meet(0, 1, tmp_path / "meeting")
    with torch.inference_mode():
        exchange()
    assert exchange().gather(torch.ones(2)).tolist() == [[1.0, 1.0]]  # outside of that mode too
    held = weakref.ref(exchange())
    distributed.destroy_process_group()
    gc.collect()
    assert held() is None
    assert not shared_memory._opened
