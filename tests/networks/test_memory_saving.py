"""Activations computed again, a network compiled in place, and half precision."""

import shutil
from typing import Any

import pytest
import torch
from conftest import Fit
from tiny_data import model_for, quiet_trainer, small_data

from lit_models import LitMLP, LitTransformer
from lit_models.internals.torch_parts import CompiledNetwork
from lit_models.networks import Transformer


def gradients(checkpointed: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = Transformer(3, 10, 2, width=8, heads=2, num_layers=3, dropout=0.3, checkpoint_activations=checkpointed)
    lengths = torch.tensor([10, 4, 7])
    network(torch.randn(3, 10, 3), lengths).square().sum().backward()
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


def test_activations_that_are_computed_again_change_no_bit_of_the_gradients() -> None:
    kept, again = gradients(False), gradients(True)
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def held(checkpointed: bool) -> int:
    """Bytes that the backward pass keeps."""
    torch.manual_seed(0)
    network = Transformer(4, 64, 2, width=32, num_layers=4, checkpoint_activations=checkpointed)
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    parameters = {one.untyped_storage().data_ptr() for one in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(16, 64, 4))
    return sum(size for place, size in kept.items() if place not in parameters)


def test_they_take_a_third_of_the_memory_at_most() -> None:
    assert held(True) * 3 < held(False)


def test_a_fit_is_the_same_with_them(fit: Fit) -> None:
    words = ["--data", "Tiny", "--model", "LitTransformer", "--model.width", "8", "--trainer.max_epochs", "2"]
    words += ["--seed_everything", "1"]
    kept, again = fit(*words), fit(*words, "--model.checkpoint_activations", "true")
    assert again["metrics"] == kept["metrics"]


def test_bf16_trains_to_about_the_same(fit: Fit) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "8", "--seed_everything", "1"]
    full, half = fit(*words), fit(*words, "--trainer.precision", "bf16-mixed")
    assert half["precision"] == "bf16-mixed"
    assert half["metrics"]["test/loss"] == pytest.approx(full["metrics"]["test/loss"], abs=0.1)
    assert half["metrics"]["test/loss"] != full["metrics"]["test/loss"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_network_keeps_its_names_and_compiles_a_few_times(fit: Fit) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", "--model.hidden", "[8]", "--model.dropout", "0"]
    words += ["--seed_everything", "1", "--trainer.max_epochs", "3", "--data.batch_size", "16"]  # 42 rows: a last of 10
    eager, compiled = fit(*words), fit(*words, "--model.compile", "true")
    states: list[dict[str, Any]] = [
        torch.load(one["path"] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for one in (eager, compiled)
    ]
    assert list(states[0]) == list(states[1])
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-4) for name in states[0])
    assert compiled["metrics"] == pytest.approx(eager["metrics"], abs=1e-4)
    # Training with 16 rows and with any number, the evaluation of validation and of test rows.
    assert 2 <= compiled["compiled_graphs"] <= 4
    assert "compiled_graphs" not in eager


def test_a_model_is_compiled_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompiledNetwork, "_count", lambda self, graph, inputs: self.note(graph))
    monkeypatch.setattr(
        CompiledNetwork,
        "note",
        lambda self, graph: setattr(self, "graphs", self.graphs + 1) or graph.forward,
        raising=False,
    )
    data = small_data(torch.randn(60, 4), torch.arange(60) % 3, batch_size=16)
    model = model_for(data, LitMLP, compile=True)
    names = list(model.state_dict())
    quiet_trainer(max_epochs=2).fit(model, data)
    assert list(model.state_dict()) == names
    assert model.compiled is not None
    assert 2 <= model.compiled.graphs <= 4


def test_the_option_belongs_to_the_architecture_that_has_layers_to_spare() -> None:
    data = small_data(torch.randn(30, 4), torch.arange(30) % 3)
    assert model_for(data, LitTransformer, checkpoint_activations=True).hparams["checkpoint_activations"] is True
