"""Entries of a checkpoint that changed options invalidate are removed, and no others."""

from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn

from experiments.run.record.config_diff import Changes
from experiments.run.resume.checkpoint_filter import filter_checkpoint
from lit_models import ConfigError


class Model(LightningModule):
    def __init__(self, hidden: int = 2, **more: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Linear(3, hidden)
        self.head = nn.Linear(2, 1)
        for name, module in more.items():
            setattr(self, name, module)


class Data(LightningDataModule): ...


def filtered(changed: str = "", allowed: str = "", model: Model | None = None) -> dict[str, Any]:
    """Returns a checkpoint of ``Model()`` without what some changes, and allowed names, remove from it."""
    torch.manual_seed(0)
    weights = {**Model().state_dict()}
    checkpoint = {"state_dict": weights, "optimizer_states": [1], "lr_schedulers": [2], "Data": {"split": 3}}
    changes = Changes(dict.fromkeys(changed.split(), (1, 2)), tuple(allowed.split()))
    filter_checkpoint(model or Model(), Data(), changes, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("changed", "allowed", "removed"),
    [
        ("", "", set()),
        ("model.optimizer.lr trainer.max_epochs", "", set()),
        ("model.optimizer.class_path", "", {"optimizer_states"}),
        ("model.schedule.scheduler.T_max", "", {"lr_schedulers"}),
        ("model.schedule", "", {"lr_schedulers"}),
        ("data.split_seed", "", set()),
        ("data.split_seed", "data.split_seed", {"Data"}),
        ("data.split_seed", "data", {"Data"}),
        ("data.batch_size", "data", set()),
        ("data.batch_size data.normalize", "data", {"Data"}),
        ("model.hidden", "data", set()),
    ],
)
def test_changes_remove_what_they_invalidate(changed: str, allowed: str, removed: set[str]) -> None:
    checkpoint = filtered(changed, allowed)
    full = {"optimizer_states": [1], "lr_schedulers": [2], "Data": {"split": 3}}
    empty = {"optimizer_states": [], "lr_schedulers": []}
    expected = {name: empty.get(name) if name in removed else value for name, value in full.items()}
    assert {name: checkpoint.get(name) for name in full} == expected
    assert ("Data" in checkpoint) == ("Data" not in removed)
    assert [*checkpoint["state_dict"]] == ["layer.weight", "layer.bias", "head.weight", "head.bias"]


def test_weights_of_another_shape_are_refused() -> None:
    for changed, allowed in (("", ""), ("", "model"), ("model.hidden", ""), ("model.hidden", "data")):
        with pytest.raises(ConfigError, match=r"layer.weight is \(2, 3\) in it and \(5, 3\) in this Model"):
            filtered(changed, allowed, Model(5))
    with pytest.raises(ConfigError, match=r"extra.weight is None in it and \(1, 1\) in this Model"):
        filtered(model=Model(extra=nn.Linear(1, 1)))


def test_weights_that_may_differ_are_those_of_the_new_model() -> None:
    model = Model(5, extra=nn.Linear(1, 1))
    weights = model.state_dict()
    checkpoint = filtered("model.hidden", "model.hidden", model)
    found = checkpoint["state_dict"]
    assert checkpoint["optimizer_states"] == []
    assert checkpoint["lr_schedulers"] == [2]
    assert found.keys() == weights.keys()
    for name in ("layer.weight", "layer.bias", "extra.weight", "extra.bias"):
        assert torch.equal(found[name], weights[name])
    torch.manual_seed(0)
    assert torch.equal(found["head.weight"], Model().head.weight)


def test_weights_that_the_model_has_no_more_are_removed() -> None:
    model = Model()
    del model.head
    checkpoint = filtered("model.hidden", "model", model)
    assert [*checkpoint["state_dict"]] == ["layer.weight", "layer.bias"]
    assert checkpoint["optimizer_states"] == []


def test_a_checkpoint_without_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match="no state_dict"):
        filter_checkpoint(Model(), Data(), Changes(), {})
