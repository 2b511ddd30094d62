"""Stochastic depth drops rows of residual additions as in its paper, in training alone, and none by default."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Fit
from torch import Tensor, nn

from experiments.run.checkpoints.checkpoint_io import read
from lit_models import LitResCNN, LitTransformer
from lit_models.networks import ResCNN, ResMLP, Transformer
from lit_models.networks.stochastic_depth import StochasticDepth, by_depth

NETWORKS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "res mlp": (partial(ResMLP, 12, 4, width=8, num_blocks=3, dropout=0.0), (12,)),
    "res cnn 1-d": (partial(ResCNN, 2, 4, 1, channels=(6, 6, 6)), (2, 12)),
    "res cnn 2-d": (partial(ResCNN, 2, 4, 2, channels=(6, 6, 6)), (2, 5, 6)),
    "transformer": (partial(Transformer, 3, 6, 4, width=8, heads=2, num_layers=3, dropout=0.0), (6, 3)),
}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_row_is_dropped_whole_or_kept_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(20_000, 2, 3)
    found = StochasticDepth(p)(x)
    kept = found.flatten(1).any(dim=1)
    torch.testing.assert_close(found[kept], x[kept] / (1 - p))
    assert float((~kept).double().mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / len(x)) ** 0.5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_probability_rises_linearly_to_the_last_block(name: str) -> None:
    make, _ = NETWORKS[name]
    assert [module.p for module in make(stochastic_depth=0.6).modules() if isinstance(module, StochasticDepth)] == (
        pytest.approx([0.2, 0.4, 0.6])
    )
    assert by_depth(0.5, 54)[0] == pytest.approx(0.5 / 54)  # the paper's network of 54 blocks, from p_0 = 1 to 0.5
    assert by_depth(0.5, 54)[-1] == 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_dropped_is_what_the_blocks_add(name: str) -> None:
    """With every row of a block dropped the network is the one without the block's own weights."""
    make, shape = NETWORKS[name]
    network, x = make(stochastic_depth=0.5).train(), torch.randn(5, *shape)
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 1 - 1e-7  # far from any draw of so few rows
    torch.manual_seed(0)
    before = network(x)
    with torch.no_grad():
        for name, values in network.named_parameters():
            if "layers." in name or ("blocks." in name and "shortcut" not in name):
                values.normal_()
    torch.testing.assert_close(network(x), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_works_in_training_only_and_draws_nothing_unless_asked_for(name: str) -> None:
    make, shape = NETWORKS[name]
    x = torch.randn(16, *shape)

    def twice(network: nn.Module) -> tuple[Tensor, Tensor]:
        return network(x), network(x)

    torch.manual_seed(0)
    plain, after = make().train(), torch.get_rng_state()
    assert torch.equal(*twice(plain))
    assert torch.equal(torch.get_rng_state(), after)
    torch.manual_seed(0)
    dropping = make(stochastic_depth=0.5)
    assert not torch.equal(*twice(dropping.train()))
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(dropping.eval()(x), plain.eval()(x))
    exported = torch.export.export(dropping, (x,)).module()
    torch.testing.assert_close(exported(x), plain(x))


@pytest.mark.parametrize(
    "name", ["res mlp", *(pytest.param(f"res cnn {each}-d", marks=pytest.mark.slow) for each in (1, 2)), "transformer"]
)
def test_compiled_it_is_one_graph(name: str) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    network, x = make(stochastic_depth=0.5), torch.randn(64, *shape)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    network.eval()
    torch.testing.assert_close(compiled(x), network(x))
    network.train()
    assert not torch.equal(compiled(x), compiled(x))


def test_recomputed_activations_drop_the_same_rows() -> None:
    """A layer that is computed again in the backward pass has to draw what it drew."""
    grads = []
    for again in (False, True):
        torch.manual_seed(0)
        network = Transformer(3, 6, 4, width=8, heads=2, stochastic_depth=0.5, checkpoint_activations=again).train()
        x = torch.randn(16, 6, 3)
        network(x).square().sum().backward()
        grads.append([parameter.grad for parameter in network.parameters()])
    for grad, other in zip(*grads, strict=True):
        assert torch.equal(grad, other)


def test_padding_comes_through_nowhere() -> None:
    for architecture in (LitResCNN, LitTransformer):
        torch.manual_seed(0)
        facts: dict[str, Any] = {"task": "multiclass", "modality": "series", "input_shape": (2, 9), "num_outputs": 3}
        model = architecture(**facts, stochastic_depth=0.5, dropout=0.0).train()
        x, lengths = torch.randn(6, 2, 9), torch.tensor([9, 3, 1, 9, 4, 5])
        padding = torch.arange(9) >= lengths[:, None, None]
        found = []
        for filling in (0.0, torch.nan):
            torch.manual_seed(1)
            found.append(model(x.masked_fill(padding, filling), lengths=lengths))
        assert torch.equal(*found)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("--model LitResMLP --model.width 8", marks=pytest.mark.slow),
        "--model LitResCNN --model.channels [4,4]",
        "--model LitTransformer --model.width 8 --model.heads 2",
    ],
)
def test_a_run_with_it_is_another_and_evaluates_the_same_each_time(fit: Fit, words: str) -> None:
    start = f"--data Tiny {words} --model.optimizer.lr 0.01 --trainer.max_epochs 2 --seed_everything 0".split()
    plain = fit(*start, "--run", "plain")
    zero = fit(*start, "--model.stochastic_depth", "0", "--run", "zero")
    dropped = fit(*start, "--model.stochastic_depth", "0.4", "--run", "dropped")
    assert zero["metrics"] == plain["metrics"]
    assert dropped["metrics"]["test/loss"] != plain["metrics"]["test/loss"]
    path: Path = dropped["path"] / "checkpoints/best.ckpt"
    assert read(path)["hyper_parameters"]["stochastic_depth"] == 0.4


@pytest.mark.parametrize("p", ["1", "-0.1"])
def test_a_probability_that_cannot_be_is_refused(refused: Any, p: str) -> None:
    message = refused("--data", "tiny_package.Tiny", "--model", "LitResMLP", "--model.stochastic_depth", p)
    assert "stochastic_depth must be at least 0 and below 1" in message
