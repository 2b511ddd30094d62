"""Muon moves the matrices of hidden layers, and AdamW all other parameters, to the bit as torch's own two do."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tiny_data import PLAIN, model_for, quiet_trainer, small_data
from torch import nn, optim

from lit_models import ConfigError, LitCNN, LitLinear, LitMLP, LitModel, LitTransformer
from lit_models.training.muon import Muon, without_muon
from lit_models.training.optimizer import build_optimizer

FACTS: dict[str, Any] = {"task": "multiclass", "modality": "table", "input_shape": (4,), "num_outputs": 3}
TEXT = FACTS | {"modality": "text", "input_shape": (9,), "vocab_size": 20}


def names_of(model: nn.Module, optimizer: optim.Optimizer) -> set[str]:
    """Names of the parameters that Muon has."""
    names = {value: name for name, value in model.named_parameters()}
    return {names[value] for group in optimizer.param_groups if group["matrices"] for value in group["params"]}


def test_embeddings_heads_biases_norms_and_kernels_are_of_adamw() -> None:
    mlp = LitMLP(**FACTS, hidden=[8, 8])
    assert names_of(mlp, build_optimizer(Muon, mlp)) == {"network.body.layers.0.weight", "network.body.layers.4.weight"}
    transformer = LitTransformer(**TEXT, width=8, heads=2, num_layers=1)
    names = names_of(transformer, build_optimizer(Muon, transformer))
    assert len(names) == 4  # of attention and the feed-forward network
    assert all(name.startswith("network.body.layers.0.") for name in names)
    assert without_muon(transformer, 3) == {"network.stem.weight", "network.body.head.weight"}


def test_steps_are_those_of_torch_for_each_kind() -> None:
    torch.manual_seed(0)
    ours, theirs = LitMLP(**FACTS, hidden=[8, 8]), LitMLP(**FACTS, hidden=[8, 8])
    theirs.load_state_dict(ours.state_dict())
    built = build_optimizer(partial(Muon, lr=0.01, weight_decay=0.1), ours)
    matrices = names_of(ours, built)
    by_name = dict(theirs.named_parameters())
    muon = optim.Muon([by_name[n] for n in sorted(matrices)], 0.01, 0.1, adjust_lr_fn="match_rms_adamw")
    others = [value for name, value in by_name.items() if name not in matrices]
    adamw = [optim.AdamW([v for v in others if v.dim() >= 2], 0.01, weight_decay=0.1)]
    adamw.append(optim.AdamW([v for v in others if v.dim() < 2], 0.01, weight_decay=0.0))
    for _ in range(3):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        for optimizer in (built, muon, *adamw):
            optimizer.step()
        for name, value in ours.named_parameters():
            assert torch.equal(value, by_name[name]), name


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    def stepped(model: nn.Module, optimizer: optim.Optimizer, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for value in model.parameters():
            value.grad = torch.randn(value.shape, generator=generator)
        optimizer.step()

    one, other = LitMLP(**FACTS, hidden=[8]), LitMLP(**FACTS, hidden=[8])
    first = build_optimizer(Muon, one)
    stepped(one, first, 1)
    other.load_state_dict(one.state_dict())
    second = build_optimizer(partial(Muon, lr=0.5), other)
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # torch shares its tensors
    for model, optimizer in ((one, first), (other, second)):
        stepped(model, optimizer, 2)
    for pair in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(*pair)


@pytest.mark.parametrize(
    "model", [LitLinear(**FACTS), LitCNN(**FACTS | {"modality": "image", "input_shape": (1, 8, 8)})]
)
def test_a_network_without_a_hidden_matrix_is_refused(model: LitModel) -> None:
    with pytest.raises(ConfigError, match="Muon needs a matrix besides embeddings and the head"):
        build_optimizer(Muon, model)


def test_it_learns_with_clipping_and_rates_by_layer() -> None:
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
    data = small_data(x, (x[:, 0] > 0).long() + (x[:, 1] > 0), batch_size=8)
    trainer = quiet_trainer(max_epochs=30, gradient_clip_val=1.0)
    trainer.fit(model_for(data, LitMLP, hidden=[16], optimizer=partial(Muon, lr=0.05), lr_decay_by_layer=0.5), data)
    assert trainer.callback_metrics["val/loss"] < 0.6


def test_the_command_names_it_and_says_what_it_lacks(fit: Any, refused: Callable[..., str]) -> None:
    words = ["--data", "Tiny", *PLAIN, "--trainer.max_epochs", "1", "--model.optimizer", "Muon"]
    assert "Muon needs a matrix" in refused(*words, "--model", "LitLinear")
    made = fit(*words, "--model", "LitMLP", "--trainer.callbacks+", "EMAWeightAveraging")
    assert made["hyperparameters"]["model.optimizer"] == "Muon"
    assert made["hyperparameters"]["model.optimizer.adjust_lr_fn"] == "match_rms_adamw"
