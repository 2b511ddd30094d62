"""A loss keeps its precision, its class, its name and its keys, through casts, copies and pickles."""

import copy
import pickle
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from lit_models import ConfigError, LitLinear
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


class Registered(nn.Module):
    """Wants a keyword of each of its subclasses."""

    names: ClassVar[list[str]] = []

    def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Registered.names.append(name)


class RegisteredLoss(Registered, name="own"):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", WEIGHT)

    def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, target, self.weight)


class Sealed(type(nn.Module)):
    def __new__(cls, name: str, bases: tuple[type, ...], names: dict[str, Any]) -> Any:
        if any(isinstance(base, Sealed) for base in bases):
            raise TypeError("no subclass, please")
        return super().__new__(cls, name, bases, names)


class SealedLoss(nn.CrossEntropyLoss, metaclass=Sealed):
    """Allows no subclass."""


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


def test_a_loss_that_allows_no_subclass_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the loss SealedLoss allows no subclass.*no subclass, please"):
        keep_precision(SealedLoss())
