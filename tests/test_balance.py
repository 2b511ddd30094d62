"""Imbalanced classes: a sampler that draws every class equally often, on any number of devices."""

from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import QUICK, small_data

from datamodules import DataError
from datamodules.loaders import TensorLoader, balanced_order

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)
SEEDS = st.integers(0, 2**40)


@QUICK
@given(LABELS, SEEDS, st.integers(0, 50))
def test_an_epoch_has_as_many_rows_and_every_class_equally_often(labels: torch.Tensor, seed: int, epoch: int) -> None:
    order = balanced_order(labels, seed, epoch)
    assert len(order) == len(labels)
    counts = Counter(labels[order].tolist())
    assert len(counts) == min(len(labels.unique()), len(order))
    assert max(counts.values()) - min(counts.values()) <= 1


@QUICK
@given(LABELS, SEEDS, st.integers(1, 12))
def test_no_row_comes_again_before_each_of_its_class_came(labels: torch.Tensor, seed: int, epochs: int) -> None:
    times = Counter(chain(*(balanced_order(labels, seed, epoch).tolist() for epoch in range(epochs))))
    for label in labels.unique():
        of_class = [times[row] for row in (labels == label).nonzero().flatten().tolist()]
        assert max(of_class) - min(of_class) <= 1


def test_epochs_and_seeds_differ_and_repeat() -> None:
    labels = torch.arange(90) % 9
    orders = {(seed, epoch): balanced_order(labels, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)}
    assert len({tuple(order) for order in orders.values()}) == 4
    assert orders[1, 1] == balanced_order(labels, 1, 1).tolist()


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_batches_are_the_same_on_more_devices(world_size: int) -> None:
    labels = torch.tensor([0] * 50 + [1] * 7 + [2] * 3)
    tensors = {"row": torch.arange(60)}

    def batches(rank: int, world: int) -> list[list[int]]:
        loader = TensorLoader(tensors, 12, shuffle=True, seed=3, rank=rank, world_size=world, balance=labels)
        return [batch["row"].tolist() for batch in loader]

    shares = zip(*(batches(rank, world_size) for rank in range(world_size)), strict=True)
    assert [sorted(chain(*share)) for share in shares] == [sorted(batch) for batch in batches(0, 1)]


def test_train_batches_are_balanced_and_evaluation_is_not() -> None:
    y = torch.tensor([0] * 80 + [1] * 20)
    data = small_data(torch.randn(100, 2), y, sampler="balanced", batch_size=70)
    data.setup("fit")
    (batch,) = data.train_dataloader()
    assert torch.bincount(batch["y"]).tolist() == [35, 35]
    (batch,) = data.test_dataloader()
    assert torch.bincount(batch["y"]).tolist() == [12, 3]


def test_there_is_nothing_to_balance_without_one_class_a_row() -> None:
    data = small_data(torch.randn(30, 2), torch.randn(30), "regression", sampler="balanced")
    data.setup("fit")
    with pytest.raises(DataError, match="needs one class a row, and the task is regression"):
        data.train_dataloader()
