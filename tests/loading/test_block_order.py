"""Rows on disk: which blocks are in which buffer, in which order, and which of them are read."""

import pytest
import torch

from datamodules.loading.block_loader import BlockLoader
from datamodules.loading.epoch_order import generator


class Blocks:
    """Blocks of row numbers that list which of them were read."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = torch.tensor(counts)
        self.seen: list[int] = []

    def read(self, block: int) -> dict[str, torch.Tensor]:
        self.seen.append(block)
        first = int(self.counts[:block].sum())
        row = torch.arange(first, first + int(self.counts[block]))
        return {"x": row.unsqueeze(1) * torch.tensor([2.0, 3.0]), "row": row}

    def finish(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return batch


def rows_of(loader: BlockLoader) -> list[int]:
    batches = list(loader)
    assert all(torch.equal(batch["x"], batch["row"].unsqueeze(1) * torch.tensor([2.0, 3.0])) for batch in batches)
    return [row for batch in batches for row in batch["row"].tolist()]


@pytest.mark.parametrize(
    ("buffer_rows", "buffers"),
    [
        (0, [1, 1, 1, 1]),
        (1, [1, 1, 1, 1]),
        (3, [1, 1, 1, 1]),
        (4, [2, 1, 1]),  # the second block begins before the fourth row, and ends the buffer
        (7, [3, 1]),
        (9, [3, 1]),
        (10, [4]),
        (99, [4]),
    ],
)
def test_a_buffer_ends_with_the_block_that_fills_it(buffer_rows: int, buffers: list[int]) -> None:
    """Four blocks of 3 rows. The order of buffer ``number`` has the seed (seed, epoch, -1 - number)."""
    blocks = Blocks([3, 0, 3, 3, 3])
    loader = BlockLoader(blocks, buffer_rows, batch_size=5, shuffle=True, seed=2)
    loader.set_epoch(7)
    order = torch.tensor([0, 2, 3, 4])[torch.randperm(4, generator=generator(2, 7))].tolist()
    expected = []
    for number, some in enumerate(torch.tensor(order).split(buffers)):
        rows = torch.cat([Blocks.read(blocks, block)["row"] for block in some.tolist()])
        expected += rows[torch.randperm(len(rows), generator=generator(2, 7, -1 - number))].tolist()
    blocks.seen.clear()
    assert rows_of(loader) == expected
    assert blocks.seen == order


@pytest.mark.parametrize("buffer_rows", [0, 1])
def test_a_buffer_has_one_row_at_least(buffer_rows: int) -> None:
    blocks = Blocks([1] * 8)
    loader = BlockLoader(blocks, buffer_rows, batch_size=8, shuffle=True)
    assert rows_of(loader) == torch.randperm(8, generator=generator(0, 0)).tolist()


def test_without_shuffling_rows_are_in_their_order_and_each_block_is_read_once() -> None:
    blocks = Blocks([2, 3, 0, 4])
    assert rows_of(BlockLoader(blocks, 3, batch_size=2)) == list(range(9))
    assert blocks.seen == [0, 1, 3]


def test_a_resumed_epoch_reads_the_buffer_that_it_is_in() -> None:
    blocks = Blocks([2, 2, 2, 2])
    loader = BlockLoader(blocks, 4, batch_size=2)
    loader.load_state_dict({"seed": 0, "epoch": 0, "consumed": 3, "accumulate": 1})
    assert rows_of(loader) == [6, 7]
    assert blocks.seen == [2, 3]


def test_a_process_without_a_row_reads_no_other_buffer() -> None:
    """The fifth row is the first process's, and the second has a batch of no row, with all columns."""
    blocks = Blocks([2, 2, 1])
    *_, last = BlockLoader(blocks, 2, batch_size=2, rank=1, world_size=2)
    assert {name: tuple(column.shape) for name, column in last.items()} == {"x": (0, 2), "row": (0,)}
    assert blocks.seen == [0, 1]
    blocks = Blocks([1])
    (only,) = BlockLoader(blocks, 2, batch_size=2, rank=1, world_size=2)
    assert {name: tuple(column.shape) for name, column in only.items()} == {"x": (0, 2), "row": (0,)}
