"""Streamed rows: every buffer of an epoch is shuffled anew, and a resumed epoch continues its buffer's order."""

import re
from pathlib import Path

import numpy
import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import StreamedTable

FEATURES = 64
BATCH = 97
FEW = settings(QUICK, max_examples=20)
SEEDS, EPOCHS = st.integers(0, 2**40), st.integers(0, 1000)


def streamed(folder: Path, rows: int) -> StreamedTable:
    """A table with this many train rows, in buffers of 1 MiB; other files validate and test."""
    draw = numpy.random.default_rng(0)
    paths = {}
    for name, count in {"path": rows, "val_path": 20, "test_path": 20}.items():
        x = draw.normal(size=(count, FEATURES)).astype(numpy.float32)
        frame = polars.DataFrame(x, [f"x{index}" for index in range(FEATURES)])
        frame.with_columns(y=polars.Series(numpy.arange(count) % 2)).write_parquet(folder / f"{name}{rows}.parquet")
        paths[name] = str(folder / f"{name}{rows}.parquet")
    data = StreamedTable(target="y", buffer_mib=1, batch_size=BATCH, cache=str(folder / "cache"), **paths)
    data.setup("fit")
    return data


def rows_of_a_block(data: StreamedTable) -> int:
    (note,) = re.findall(r"in blocks of ([\d,]+)", " ".join(data.notes))
    return int(note.replace(",", ""))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StreamedTable:
    """A table of 16 whole blocks, so that every buffer begins at the same position of every epoch."""
    folder = tmp_path_factory.mktemp("streamed")
    return streamed(folder, 16 * rows_of_a_block(streamed(folder, 100)))


def order(data: StreamedTable, seed: int, epoch: int, resume_at: int = 0) -> list[int]:
    """Row numbers in the order of an epoch, from a batch on at which it is resumed."""
    torch.manual_seed(seed)
    loader = data.train_dataloader()
    if resume_at:
        loader.load_state_dict({"seed": seed, "epoch": epoch, "consumed": resume_at, "accumulate": 1})
    else:
        loader.sampler.set_epoch(epoch)
    return [row for batch in loader for row in batch["row"].tolist()]


@FEW
@given(SEEDS, EPOCHS, EPOCHS)
def test_no_buffer_repeats_the_order_of_another_epoch(data: StreamedTable, seed: int, epoch: int, other: int) -> None:
    """The blocks differ, so an order is repeated where the rows have the same index within their blocks."""
    if epoch == other:
        return
    size = rows_of_a_block(data)
    first_order, second_order = (numpy.array(order(data, seed, number)) for number in (epoch, other))
    assert sorted(first_order[: len(second_order)]) == sorted(second_order) == list(range(len(second_order)))
    equal = first_order % size == second_order % size
    for first in range(0, len(equal), size):
        assert equal[first : first + size].mean() < 0.05, f"from row {first} of the epoch on"


@FEW
@given(SEEDS, EPOCHS, st.data())
def test_a_resumed_epoch_continues_in_any_buffer(
    data: StreamedTable, seed: int, epoch: int, drawn: st.DataObject
) -> None:
    whole = order(data, seed, epoch)
    batches = -(-len(whole) // BATCH)
    done = drawn.draw(st.integers(1, batches - 1))
    assert order(data, seed, epoch, done) == whole[done * BATCH :]
