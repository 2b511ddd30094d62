"""Imbalanced classes: weights in the loss, or a sampler that draws every class equally often on any devices."""

from collections import Counter
from itertools import chain
from typing import Any

import numpy
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from tiny_data import QUICK, model_for, quiet_trainer, small_data
from torch import nn

from datamodules import DataError, InMemoryData
from datamodules.loading.epoch_order import balanced_order
from datamodules.loading.tensor_loader import TensorLoader
from experiments.__main__ import main
from lit_models import ConfigError, LitModel
from lit_models.losses import FocalLoss

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


def test_the_first_epoch_begins_each_class_at_its_first_round() -> None:
    """Seven rows of three classes: one of the classes has a row more than the others."""
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    for seed in range(20):
        order = balanced_order(labels, seed, 0)
        for label in (0, 1, 2):
            drawn = order[labels[order] == label].tolist()
            rows = (labels == label).nonzero().flatten().tolist()
            assert len(set(drawn)) == min(len(drawn), len(rows)), "none again before each came"


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


IMBALANCED = {
    "binary": torch.tensor([0] * 80 + [1] * 20),
    "multiclass": torch.tensor([0] * 60 + [1] * 30 + [2] * 10),
    "multilabel": torch.tensor([[0, 0], [0, 1], [0, 1], [1, 1], [0, 0]] * 20),
}


def weighted(task: str, **kwargs: Any) -> tuple[LitModel, InMemoryData]:
    torch.manual_seed(0)
    data = small_data(torch.randn(100, 3), IMBALANCED[task], task)
    model = model_for(data, class_weights=True, **kwargs)
    quiet_trainer(max_epochs=1).fit(model, data)
    return model, data


def test_class_weights_are_scikit_learns_balanced_ones_of_the_train_rows() -> None:
    model, data = weighted("multiclass")
    y = data.rows.y[data.split.train].numpy()
    expected = compute_class_weight("balanced", classes=numpy.arange(3), y=y)
    assert model.loss.weight.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_positive_weights_are_rows_without_by_rows_with(task: str) -> None:
    model, data = weighted(task)
    y = data.rows.y[data.split.train].double().view(len(data.split.train), -1)
    assert model.loss.pos_weight.tolist() == pytest.approx(((1 - y).sum(dim=0) / y.sum(dim=0)).tolist())


def test_class_weights_change_what_is_learned_are_recorded_and_come_back_from_the_checkpoint(fit: Fit) -> None:
    words = [
        "--data",
        "TinyImbalanced",
        "--model",
        "LitLinear",
        "--trainer.max_epochs",
        "4",
        "--model.optimizer.lr",
        "0.05",
    ]
    plain = fit(*words)
    balanced = fit(*words, "--model.class_weights", "true")
    assert balanced["hyperparameters"]["model.class_weights"] is True
    assert balanced["metrics"]["test/recall_binary"] > plain["metrics"]["test/recall_binary"]
    (path,) = (balanced["path"] / "checkpoints").glob("best*")
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state["loss.pos_weight"].tolist() == pytest.approx([9.0], rel=0.02)
    assert main(["test", "--trust", "tiny_package", "--ckpt_path", str(path)]) == 0


@pytest.mark.parametrize(
    ("loss", "message"),
    [(FocalLoss(), "class_weights go into"), (nn.CrossEntropyLoss(weight=torch.ones(3)), "has its own weight")],
)
def test_a_loss_without_a_place_for_weights_is_refused(loss: nn.Module, message: str) -> None:
    data = small_data(torch.randn(100, 3), IMBALANCED["multiclass"])
    with pytest.raises(ConfigError, match=message):
        model_for(data, class_weights=True, loss=loss)


def test_the_balanced_sampler_is_recorded(fit: Fit) -> None:
    record = fit(
        "--data", "TinyImbalanced", "--data.sampler", "balanced", "--model", "LitLinear", "--trainer.max_epochs", "2"
    )
    assert record["hyperparameters"]["data.sampler"] == "balanced"
