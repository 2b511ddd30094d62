"""A loss keeps its precision, its class, its name and its keys, through casts, copies and pickles."""

import copy
import pickle
from typing import Any

import pytest
import torch
from conftest import Fit
from tiny_package import Registered, RegisteredLoss
from torch import nn

from lit_models import LitLinear
from lit_models.training.loss_precision import keep_precision

WEIGHT = torch.tensor([0.123456789, 1.0, 2.0])


class OwnLoss(nn.Module):
    """Has a parameter and a submodule with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.123456789))
        self.inner = nn.CrossEntropyLoss(WEIGHT)

    def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.scale * self.inner(outputs, target)


@pytest.mark.parametrize("duplicate", [lambda loss: loss, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
@pytest.mark.parametrize("make", [lambda: nn.CrossEntropyLoss(WEIGHT), OwnLoss, RegisteredLoss])
def test_a_loss_moves_with_its_model_but_keeps_its_bits(make, duplicate) -> None:
    original = make()
    loss = duplicate(keep_precision(make()))
    assert isinstance(loss, type(original))
    assert repr(loss) == repr(original)
    parent = nn.Sequential(nn.Linear(2, 2), loss)
    parent.to(torch.bfloat16)
    assert parent[0].weight.dtype == torch.bfloat16
    for (name, kept), (wanted_name, wanted) in zip(
        loss.state_dict().items(), original.state_dict().items(), strict=True
    ):
        assert name == wanted_name
        assert torch.equal(kept, wanted)
    assert all(tensor.dtype == torch.float64 for tensor in parent.double()[1].state_dict().values())


def test_class_weights_stay_in_a_model_of_half_the_bits() -> None:
    model = LitLinear(
        task="multiclass", modality="table", input_shape=(4,), num_outputs=3, loss=nn.CrossEntropyLoss(WEIGHT)
    )
    assert torch.equal(model.half().state_dict()["loss.weight"], WEIGHT)


def test_a_hook_for_subclasses_runs_for_the_losses_own_alone() -> None:
    keep_precision(RegisteredLoss())
    assert Registered.names == ["own"]


def test_a_run_takes_a_loss_whose_base_wants_keywords_of_subclasses(fit: Fit) -> None:
    words = "--data tiny_package.Tiny --model LitLinear --model.loss tiny_package.RegisteredLoss --trainer.max_epochs 1"
    assert fit(*words.split())["metrics"]["test/loss"] > 0


def test_a_loss_that_allows_no_subclass_is_refused(refused: Any) -> None:
    data, model = ("--data", "tiny_package.Tiny"), ("--model", "LitLinear")
    message = refused(*data, *model, "--model.loss", "tiny_package.SealedLoss")
    assert "the loss SealedLoss allows no subclass" in message
    assert "no subclass, please" in message
