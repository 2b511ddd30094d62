"""Dropout from whole numbers drops the share that it says, keeps the mean, and a seed repeats it."""

import pytest
import torch
from torch import nn

from lit_models import LitTransformer
from lit_models.cpu.dropout import MIN_ELEMENTS, Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_and_the_mean(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    dropped = Dropout(p)(torch.ones(1000, 1003, dtype=dtype))
    assert dropped.dtype == dtype
    zero = dropped == 0
    tolerance = 5 * (p * (1 - p) / zero.numel()) ** 0.5
    assert float(zero.double().mean()) == pytest.approx(p, abs=tolerance + 2**-17)
    torch.testing.assert_close(
        dropped[~zero],
        torch.full_like(dropped[~zero], 1 / (1 - p)),
        rtol=1e-4 if dtype == torch.float32 else 1e-2,
        atol=0,
    )
    for neighbour in (1, 2, 3, 4):  # four elements share a draw, and none says anything of another
        both = (zero.flatten()[neighbour:] & zero.flatten()[:-neighbour]).double().mean()
        assert float(both) == pytest.approx(p * p, abs=0.003)


def test_a_seed_repeats_it_and_gradients_go_through_what_is_kept() -> None:
    x = torch.randn(7, MIN_ELEMENTS // 7 + 1, requires_grad=True)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(Dropout(0.5)(x))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    results[0].sum().backward()
    torch.testing.assert_close(x.grad, (results[0] != 0).float() * 2)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_everything(p: float) -> None:
    x = torch.randn(4, MIN_ELEMENTS)
    assert torch.equal(Dropout(p)(x), nn.Dropout(p)(x))


@pytest.mark.parametrize("p", [0.99999, 0.9999999])
def test_almost_everything(p: float) -> None:
    dropped = Dropout(p)(torch.ones(2**20))
    assert (dropped == 0).double().mean() > 0.9999
    assert dropped.max() <= 2**16


def test_few_elements_are_dropped_as_torch_does() -> None:
    x, results = torch.randn(MIN_ELEMENTS - 1), []
    for layer in (Dropout(0.3), nn.Dropout(0.3)):
        torch.manual_seed(0)
        results.append(layer(x))
    assert torch.equal(*results)


def test_evaluating_and_exported_it_is_the_identity() -> None:
    x, layer = torch.randn(4, MIN_ELEMENTS), Dropout(0.5).eval()
    assert layer(x) is x
    drawn = torch.export.export(layer.train(), (x,)).graph_module.code
    assert "dropout" in drawn
    assert "random_" not in drawn  # a graph has torch's own, whoever runs it
    network = LitTransformer(task="regression", modality="series", input_shape=(2, 6), num_outputs=1).network.eval()
    rows = torch.randn(5, 2, 6)
    exported = torch.export.export(network, (rows,)).module()
    torch.testing.assert_close(exported(rows), network(rows))
