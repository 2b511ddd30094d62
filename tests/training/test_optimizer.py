"""Any torch optimizer trains with what was typed, spares biases and norms, and is fused where it can be."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from tiny_data import model_for, quiet_trainer, small_data
from torch import nn, optim

from lit_models import LitCNN, LitLinear, LitMLP, LitModel, LitRNN, LitTransformer
from lit_models.schedules.schedule import copyable
from lit_models.training.optimizer import OptimizerFactory, build_optimizer

ARCHITECTURES = [LitLinear, LitMLP, LitCNN, LitRNN, LitTransformer]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_biases_and_norms_do_not_decay_and_all_else_does(architecture: type[LitModel]) -> None:
    model = architecture(task="multiclass", modality="series", input_shape=(2, 6), num_outputs=3)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(partial(optim.SGD, lr=1.0, weight_decay=0.5), model).step()
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, NORMS)}
    spared = {name for name in before if name in norms or name.rpartition(".")[2].startswith("bias")}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] * (1.0 if name in spared else 0.5), msg=name)


def test_sgd_has_no_decay_that_nobody_typed() -> None:
    groups = build_optimizer(partial(optim.SGD, lr=0.1), nn.Linear(3, 2)).param_groups
    assert [group["weight_decay"] for group in groups] == [0, 0]
    assert sum(len(group["params"]) for group in groups) == 2


@pytest.mark.parametrize(
    ("factory", "fused"),
    [
        (optim.AdamW, True),
        (partial(optim.Adam, lr=0.1), True),
        (partial(optim.SGD, momentum=0.9), True),
        (partial(optim.AdamW, fused=None, foreach=None), True),
        (partial(optim.AdamW, fused=False), False),
        (partial(optim.AdamW, foreach=True), None),
        (partial(optim.AdamW, foreach=False), None),
    ],
)
def test_the_fused_step_is_taken_where_nobody_chose_another(factory: Any, fused: bool | None) -> None:
    assert build_optimizer(factory, nn.Linear(3, 2)).defaults["fused"] is fused
    assert build_optimizer(factory, nn.Linear(3, 2), fused=False).defaults["fused"] is (None if fused else fused)


def test_frozen_parameters_are_left_out() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad = False
    (group,) = build_optimizer(optim.AdamW, layer).param_groups
    assert group["params"] == [layer.bias]


# SparseAdam takes sparse gradients only, Muon matrices only.
@pytest.mark.parametrize(
    "optimizer",
    [
        *(optim.ASGD, optim.Adadelta, optim.Adafactor, optim.Adagrad, optim.Adam, optim.AdamW, optim.Adamax),
        *(optim.LBFGS, optim.NAdam, optim.RAdam, optim.RMSprop, optim.Rprop, optim.SGD),
    ],
)
def test_every_optimizer_of_torch_lowers_the_loss(optimizer: type[optim.Optimizer]) -> None:
    torch.manual_seed(0)
    x, layer = torch.randn(40, 3), nn.Linear(3, 1)
    built = build_optimizer(partial(optimizer, lr=0.01), layer)

    def loss() -> torch.Tensor:
        built.zero_grad()
        value = (layer(x) - x.sum(dim=1, keepdim=True)).square().mean()
        value.backward()
        return value

    before = loss().item()
    for _ in range(5):
        built.step(loss)
    assert loss().item() < before


def test_lbfgs_solves_a_linear_problem() -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    data = small_data(x, 2 + x @ torch.tensor([1.0, -2.0, 3.0]), "regression", batch_size=28)
    trainer = quiet_trainer(max_epochs=3)
    trainer.fit(model_for(data, optimizer=partial(optim.LBFGS, lr=1.0)), data)
    assert trainer.callback_metrics["val/r2"] > 0.99999


def test_a_factory_of_the_command_line_is_copied_without_its_parser() -> None:
    parser = ArgumentParser()
    parser.add_argument("--optimizer", type=OptimizerFactory)
    words = ["--optimizer=torch.optim.SGD", "--optimizer.momentum=0.5", "--optimizer.lr=0.25"]
    factory = parser.instantiate(parser.parse_args(words)).optimizer
    copied = copy.deepcopy(copyable(factory))
    assert copied.func is optim.SGD
    defaults = [make([nn.Parameter(torch.zeros(1))]).defaults for make in (factory, copied)]
    assert defaults[0] == defaults[1]
    assert defaults[0]["momentum"] == 0.5


@pytest.mark.parametrize("factory", [optim.AdamW, partial(optim.SGD, lr=0.1), lambda parameters: None])
def test_any_other_factory_stays(factory: Any) -> None:
    assert copyable(factory) is factory
