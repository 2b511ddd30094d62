"""Scales at the boundary between a small spread and rounding error, and methods on numbers computed by hand."""

from typing import Any

import numpy
import pytest
import torch
from scipy.special import ndtri

from datamodules.preprocessing import normalization
from datamodules.preprocessing.normalization import (
    Quantiles,
    Statistics,
    Unchanged,
    fit,
    is_constant,
    learn,
    positive_scale,
    restore,
)


def tensor(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_scale_of_rounding_error_is_1() -> None:
    """Rounding error is up to 1e-12 of the largest absolute value."""
    scale, above = tensor(1e-12, 1.01e-12, 4e-12, 5e-12, 2.0, 2.0), tensor(1.0, 1.0, 2.0, 2.0, 3.0, 3.5)
    low = tensor(0.0, 0.0, -4.0, -4.0, 3.0, 3.0)
    assert positive_scale(scale, low, above).tolist() == [1.0, 1.01e-12, 1.0, 5e-12, 1.0, 2.0]


def test_values_are_constant_up_to_rounding() -> None:
    low, high = tensor(1.0, 1.0, -1.0, 0.0, 0.0, -4.0), tensor(1.0, 1 + 3e-12, -1 + 9e-13, 0.0, 1e-300, -4 + 3e-12)
    assert is_constant(low, high).tolist() == [True, False, True, True, False, True]


@pytest.mark.parametrize(
    ("method", "center", "scale"),
    [("standard", 5.0, (46 / 5) ** 0.5), ("minmax", 1.0, 9.0), ("robust", 5.0, 3.0), ("none", 0.0, 1.0)],
)
def test_statistics_of_five_values(method: Any, center: float, scale: float) -> None:
    found = fit(tensor(1, 3, 5, 6, 10).unsqueeze(1), method)
    assert found.center.tolist() == [center]
    assert found.scale.tolist() == pytest.approx([scale])


@pytest.mark.parametrize(("count", "quantiles"), [(1, 2), (2, 2), (3, 3), (999, 999), (1000, 1000), (1500, 1000)])
def test_there_are_as_many_quantiles_as_values_up_to_a_thousand(count: int, quantiles: int) -> None:
    x = torch.arange(count).double().unsqueeze(1)
    found = learn(x, "quantile")
    assert isinstance(found, Quantiles)
    assert found.values.shape == (1, quantiles)
    assert found.values[0].tolist() == pytest.approx(numpy.linspace(0, count - 1, quantiles).tolist())


def test_values_are_mapped_to_the_normal_distribution_by_rank() -> None:
    """Of five quantiles the outermost are at half a rank, 0.1 and 0.9, and the others at 0.25, 0.5 and 0.75."""
    found = learn(tensor(0, 1, 2, 3, 10).unsqueeze(1), "quantile")
    x = tensor(-5, 0, 0.5, 1, 2, 2.5, 6.5, 10, 11, torch.nan)
    ranks = numpy.array([0.1, 0.1, 0.125, 0.25, 0.5, 0.625, 0.875, 0.9, 0.9, numpy.nan])
    numpy.testing.assert_allclose(found(x.unsqueeze(1)).squeeze(1), ndtri(ranks), rtol=1e-6, atol=1e-7)


def test_normalized_values_are_restored() -> None:
    """Quantiles resemble a line between the outermost; a feature without information is its center."""
    normal = tensor(-torch.inf, 0.0, torch.inf).unsqueeze(1)
    assert Quantiles(tensor([2, 9, 10])).inverse(normal).squeeze(1).tolist() == [2.0, 6.0, 10.0]
    linear = Statistics(tensor(1, 2), tensor(2, torch.inf))
    assert linear.inverse(tensor([3, 3], [-1, 0])).tolist() == [[7.0, 2.0], [-1.0, 2.0]]


@pytest.mark.parametrize("cells", [1, 7, 12, 2**16])
@pytest.mark.parametrize("shape", [(10, 2), (10, 2, 3)])
def test_rows_are_mapped_alike_however_many_at_a_time(
    cells: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalization, "CELLS", cells)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = Quantiles(tensor([-1, 0, 2], [-2, 0, 1]))
    assert torch.equal(found(x), torch.cat([found(row.unsqueeze(0)) for row in x]))


def test_a_feature_with_two_values_varies_and_missing_values_stay() -> None:
    found = learn(tensor(0, 0, 1, 1).unsqueeze(1), "quantile")
    assert found(tensor(0, 1, torch.nan).unsqueeze(1)).isnan().squeeze(1).tolist() == [False, False, True]
    assert found(tensor(0, 1).unsqueeze(1)).squeeze(1).tolist() == pytest.approx([-0.9674, 0.9674], abs=1e-4)
    # Of three quantiles a value that two have is at the middle of their ranks, 1/4 or 3/4.
    for values, ranks in (([0, 1, 1], [1 / 6, 3 / 4]), ([0, 0, 1], [1 / 4, 5 / 6])):
        normal = Quantiles(tensor(values))(tensor(0, 1).unsqueeze(1)).squeeze(1)
        assert normal.tolist() == pytest.approx(ndtri(ranks).tolist(), abs=1e-6)
    constant = learn(tensor(3, 3, 3).unsqueeze(1), "quantile")
    assert constant(tensor(-9, 3, 9).unsqueeze(1)).squeeze(1).tolist() == [0.0, 0.0, 0.0]


def test_the_ends_of_all_rows_decide_what_is_constant() -> None:
    """A sample may have one value where all rows have several."""
    sample = tensor(3, 3, 3).unsqueeze(1)
    for method in ("standard", "robust"):
        found = learn(sample, method, ends=(tensor(3), tensor(5)))
        assert found(tensor(3, 5).unsqueeze(1)).squeeze(1).tolist() == [0.0, 2.0]
        found = learn(tensor(3, 4, 5).unsqueeze(1), method, ends=(tensor(3), tensor(3)))
        assert found(tensor(3, 5).unsqueeze(1)).squeeze(1).tolist() == [0.0, 0.0]


def test_padding_has_no_effect_on_statistics() -> None:
    x = tensor([[1, 3, 99], [0, 2, 99]], [[5, 99, 99], [4, 99, 99]])
    for method, centers in (("standard", [3.0, 2.0]), ("minmax", [1.0, 0.0]), ("robust", [3.0, 2.0])):
        assert learn(x, method, torch.tensor([2, 1])).center.tolist() == centers


def test_the_state_tells_the_method() -> None:
    linear, quantiles = Statistics(tensor(1), tensor(2)), Quantiles(tensor([0, 1]))
    assert isinstance(restore(linear.state_dict()), Statistics)
    assert isinstance(restore(quantiles.state_dict()), Quantiles)
    unchanged = restore({})
    assert isinstance(unchanged, Unchanged)
    assert [unchanged(torch.zeros(1, 2, dtype=kind)).dtype for kind in (torch.uint8, torch.int64)] == [
        torch.uint8,
        torch.float64,
    ]
    assert unchanged.inverse(tensor(1, 2)).tolist() == [1.0, 2.0]
