"""Layers are found from input to output, and each is trained at its rate under every schedule."""

from functools import partial
from typing import Any

import pytest
import torch
from tiny_data import PLAIN, model_for, quiet_trainer, small_data
from torch import nn, optim
from torch.optim import lr_scheduler

from lit_models import ConfigError, LitCNN, LitLinear, LitMLP, LitModel, LitResCNN, LitRNN, LitTabM, LitTransformer
from lit_models.schedules import Schedule
from lit_models.schedules.schedulers import OneCycleLR
from lit_models.training.optimizer import build_optimizer, dims
from lit_models.training.parameter_groups import layers

IMAGE: dict[str, Any] = {"task": "multiclass", "modality": "image", "input_shape": (1, 8, 8), "num_outputs": 3}
SERIES = IMAGE | {"modality": "series", "input_shape": (1, 16)}
TEXT = IMAGE | {"modality": "text", "input_shape": (9,), "vocab_size": 20}


def modules(model: nn.Module) -> list[str]:
    """The module of the first parameter of each layer."""
    return [names[0].removeprefix("network.").rpartition(".")[0] for names in layers(dims(model))]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (LitCNN(**IMAGE, channels=[4, 4]), ["body.blocks.0.conv", "body.blocks.1.conv", "body.head"]),
        (LitMLP(**IMAGE, hidden=[4, 4]), ["body.layers.0", "body.layers.4", "body.head"]),
        (LitRNN(**SERIES, num_layers=2), ["body.layers.0.ahead", "body.layers.1.ahead", "body.head"]),
        (
            LitTransformer(**TEXT, num_layers=2),
            [
                "stem",
                "body",
                "body.embedding",
                "body.layers.0.attention_norm",
                "body.layers.1.attention_norm",
                "body.head",
            ],
        ),
        (LitLinear(**IMAGE), ["body.head"]),
    ],
)
def test_layers_of_our_networks_from_input_to_output(model: LitModel, expected: list[str]) -> None:
    assert modules(model) == expected


def test_every_parameter_is_in_one_layer() -> None:
    model = LitResCNN(**IMAGE)
    names = [name for layer in layers(dims(model)) for name in layer]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


class Bert(nn.Module):
    """Names as in Hugging Face's encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {"word": nn.Embedding(5, 4), "position": nn.Embedding(5, 4), "n": nn.LayerNorm(4)}
        )
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(nn.ModuleDict({"q": nn.Linear(4, 4), "n": nn.LayerNorm(4)}) for _ in range(3))}
        )
        self.pooler = nn.ModuleDict({"dense": nn.Linear(4, 4)})


class ResNet(nn.Module):
    """Names as in torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(nn.ModuleDict({"conv1": nn.Conv2d(4, 4, 3), "bn1": nn.BatchNorm2d(4)}))
        self.fc = nn.Linear(4, 2)


class Plain(nn.Module):
    """Names without a number."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.norm, self.head = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Bert(), ["embeddings.word", *(f"encoder.layer.{index}.q" for index in range(3)), "pooler.dense"]),
        (ResNet(), ["conv1", "layer1.0.conv1", "fc"]),
        (Plain(), ["encoder", "head"]),
    ],
)
def test_layers_of_networks_of_others(network: nn.Module, expected: list[str]) -> None:
    assert modules(nn.ModuleDict({"network": network})) == expected


def test_a_step_moves_each_layer_at_its_rate() -> None:
    model = LitMLP(**IMAGE, hidden=[4, 4], norm="none")
    axes, before = dims(model), {name: value.detach().clone() for name, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    build_optimizer(partial(optim.SGD, lr=0.1, weight_decay=0.5), model, axes=axes, lr_decay=0.5).step()
    for depth, names in enumerate(reversed(layers(axes))):
        for name in names:
            decay = 0.5 * before[name] if axes[name] >= 2 else 0.0
            expected = before[name] - 0.1 * 0.5**depth * (1.0 + decay)
            torch.testing.assert_close(dict(model.named_parameters())[name].detach(), expected, msg=name)


def test_the_first_group_has_the_whole_rate_and_all_others_less() -> None:
    groups = build_optimizer(partial(optim.AdamW, lr=0.1), LitCNN(**IMAGE), lr_decay=0.5).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125])


DATA = small_data(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 3)


def fit_with(schedule: Schedule | None, **kwargs: Any) -> optim.Optimizer:
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(model_for(DATA, LitMLP, hidden=[8], schedule=schedule, lr_decay_by_layer=0.5, **kwargs), DATA)
    return trainer.optimizers[0]


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(OneCycleLR),
        Schedule(partial(lr_scheduler.CosineAnnealingLR, T_max=100)),
        Schedule(partial(lr_scheduler.StepLR, step_size=1), warmup=0.2),
    ],
)
def test_schedules_keep_the_ratio_of_the_rates(schedule: Schedule) -> None:
    rates = [group["lr"] for group in fit_with(schedule).param_groups]
    assert rates[2] / rates[0] == pytest.approx(0.5, rel=1e-3)


def test_schedules_with_one_rate_for_all_layers_are_refused() -> None:
    cyclic = partial(lr_scheduler.CyclicLR, base_lr=0.001, max_lr=0.1, cycle_momentum=False)
    for scheduler in (cyclic, partial(OneCycleLR, max_lr=0.1)):
        with pytest.raises(ConfigError, match="this schedule sets one learning rate for all layers"):
            fit_with(Schedule(scheduler))


def test_networks_without_layers_in_order_are_refused() -> None:
    table = IMAGE | {"modality": "table", "input_shape": (4,)}
    with pytest.raises(ConfigError, match=r"cannot tell which layer network\.body\.weight is"):
        build_optimizer(optim.AdamW, LitTabM(**table), lr_decay=0.5)
    with pytest.raises(ConfigError, match="this one has one"):
        build_optimizer(optim.AdamW, LitLinear(**table), lr_decay=0.5)


def test_patterns_set_settings_and_the_later_one_wins() -> None:
    model = LitMLP(**IMAGE, hidden=[4])
    patterns = {"body": {"lr": 0.5, "weight_decay": 0.3}, r"head\.bias": {"lr": 0.2}, "norm|bias": {"weight_decay": 0}}
    groups = build_optimizer(partial(optim.AdamW, lr=0.1), model, patterns=patterns).param_groups
    names = {value: name for name, value in model.named_parameters()}
    found = {names[value]: (group["lr"], group["weight_decay"]) for group in groups for value in group["params"]}
    assert found["network.body.layers.0.weight"] == (0.5, 0.3)
    assert found["network.body.layers.1.bias"] == (0.5, 0)
    assert found["network.body.head.bias"] == (0.2, 0)
    assert found.keys() == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            {"bias|norm": {"weightdecay": 0}},
            "AdamW has no weightdecay for a group; it has lr, betas, eps, weight_decay",
        ),
        ({"bias": {"params": 1}}, "AdamW has no params for a group"),
        ({"stem2": {"lr": 0.1}}, r"'stem2' matches no parameter; the parameters are network\.body\.layers\.0\.weight"),
        ({"(": {"lr": 0.1}}, "is no regular expression"),
        ({"bias": {}}, "needs settings"),
        ({"bias": {"lr": "fast"}}, "lr is 'fast', and the optimizer's is 0.001"),
        ({"bias": {"lr": -1.0}}, "lr is -1.0"),
        ({"bias": {"lr": float("nan")}}, "lr is nan"),
        ({"bias": {"lr": True}}, "lr is True"),
        ({"bias": {"betas": [0.9]}}, "betas is"),
        ({"bias": {"amsgrad": 1}}, "amsgrad is 1"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(patterns: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_optimizer(optim.AdamW, LitMLP(**IMAGE, hidden=[4]), patterns=patterns)


def test_the_command_takes_groups_as_json(fit: Any) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "1", *PLAIN]
    made = fit(*words, "--model.optimizer_groups", '{"head": {"lr": 0.1}, "bias|norm": {"weight_decay": 0}}')
    assert made["hyperparameters"]["model.optimizer_groups.head.lr"] == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accumulate_grad_batches": 2}, "LBFGS does not go with accumulated gradients"),
        ({"gradient_clip_val": 1.0}, "LBFGS does not go with gradient clipping"),
    ],
)
def test_lbfgs_is_refused_with_what_its_closure_does_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quiet_trainer(max_epochs=1, **options).fit(model_for(DATA, LitMLP, optimizer=optim.LBFGS), DATA)


@pytest.mark.parametrize("options", [{"lr_decay_by_layer": 0.5}, {"optimizer_groups": {"head": {"lr": 0.5}}}])
def test_lbfgs_takes_no_groups(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="LBFGS doesn't support per-parameter options"):
        quiet_trainer(max_epochs=1).fit(model_for(DATA, LitMLP, optimizer=optim.LBFGS, **options), DATA)


def test_lbfgs_takes_no_blocks_of_steps() -> None:
    with pytest.raises(ConfigError, match="LBFGS, which may evaluate the loss several times a step"):
        quiet_trainer(max_epochs=1).fit(model_for(DATA, LitMLP, optimizer=optim.LBFGS, steps_per_execution=4), DATA)
