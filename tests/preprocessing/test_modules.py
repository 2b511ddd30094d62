"""Preprocessing modules against numpy and scipy, as they run and as they are exported."""

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from tiny_data import QUICK

from datamodules.preprocessing import modules, normalization
from datamodules.preprocessing.modules import FillMissing, Interpolate, Preprocessor
from datamodules.preprocessing.normalization import Quantiles, Statistics, learn
from datamodules.preprocessing.quantile_map import normal_quantile, ranks
from datamodules.sequences.inputs import SeriesInputs
from datamodules.sequences.padded_series import fill_gaps


@settings(QUICK, max_examples=200)
@given(steps=st.integers(1, 20), seed=st.integers(0, 2**31), missing=st.floats(0, 1), cut=st.booleans())
def test_gaps_and_padding_of_series(steps: int, seed: int, missing: float, cut: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(6, 2, steps, generator=draw, dtype=torch.float64) * 3
    lengths = torch.randint(1, steps + 1, (6,), generator=draw)
    x[torch.rand(x.shape, generator=draw) < missing] = torch.nan
    x = x.where(torch.arange(steps) < lengths.view(-1, 1, 1), 0.0)
    statistics = Statistics(torch.tensor([1.0, -2.0]).double(), torch.tensor([0.5, 3.0]).double())
    inputs = SeriesInputs(statistics, torch.tensor([0.25, 7.0]).double(), steps, "ab", None, 1, None, None)
    expected = statistics(filled_by_numpy(x, lengths, inputs.fill))
    expected *= torch.arange(steps) < lengths.view(-1, 1, 1)
    longest = int(lengths.max()) if cut else steps
    found = inputs.preprocessor()(x[..., :longest], lengths)
    assert torch.equal(found, expected[..., :longest])
    assert torch.equal(inputs.tensors(fill_gaps(x, lengths), lengths)["x"], expected)


def filled_by_numpy(x: torch.Tensor, lengths: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    filled = x.clone()
    for row, steps in zip(filled, lengths.tolist(), strict=True):
        for channel, value in zip(row, fill.tolist(), strict=True):
            values = channel[:steps].numpy()
            missing = numpy.isnan(values)
            index = numpy.flatnonzero(~missing)
            values[missing] = numpy.interp(numpy.flatnonzero(missing), index, values[index]) if len(index) else value
    return filled


def exported(module: torch.nn.Module, *inputs: torch.Tensor) -> torch.fx.GraphModule:
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    return torch.export.export(module, inputs, dynamic_shapes=shapes).module()


def test_an_exported_module_computes_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization, "CELLS", 12)  # a graph takes all rows at once, however many there are
    draw = torch.Generator().manual_seed(0)
    train = torch.randint(-3, 4, (200, 3), generator=draw).double() ** 3
    rows = torch.cat([train[:50] * 1.5 - 0.25, torch.full_like(train[:1], 1e9)])
    quantiles = learn(train, "quantile")
    graph = exported(quantiles, train[:2])
    assert torch.equal(graph(rows), quantiles(rows))
    assert "searchsorted" not in str(graph.graph)  # ONNX has none
    x = torch.randn(9, 2, 12, generator=draw, dtype=torch.float64)
    x[torch.rand(x.shape, generator=draw) < 0.5] = torch.nan
    lengths = torch.randint(1, 13, (9,), generator=draw)
    interpolate = Interpolate(12)
    found = exported(interpolate, x[:2], lengths[:2])(x, lengths)
    assert torch.equal(found.nan_to_num(7), interpolate(x, lengths).nan_to_num(7))


@settings(QUICK, max_examples=100)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 1500), whole=st.booleans(), series=st.booleans())
def test_quantiles(seed: int, rows: int, whole: bool, series: bool) -> None:
    draw = numpy.random.default_rng(seed)
    x = draw.integers(-3, 4, (rows, 3, 2)).astype(float) if whole else draw.normal(size=(rows, 3, 2)) ** 3
    train = torch.from_numpy(x if series else x[..., 0])
    quantiles = learn(train, "quantile")
    assert isinstance(quantiles, Quantiles)
    beyond = torch.cat([train[:50], train[:50] * 1.5 - 0.25, torch.full_like(train[:1], 1e9)])
    values, steps = quantiles.values.numpy(), numpy.linspace(0, 1, quantiles.values.shape[1])
    found, edge = quantiles(beyond), 0.5 / len(steps)
    for feature, own in enumerate(values):
        column = beyond[:, feature].numpy()
        upper, lower = numpy.interp(column, own, steps), -numpy.interp(-column, -own[::-1], -steps[::-1])
        expected = ndtri(((lower + upper) / 2).clip(edge, 1 - edge)) * (own[0] < own[-1])  # 0 if it never varies
        assert numpy.abs(found[:, feature].numpy() - expected).max() < 1e-6


def test_the_normal_distribution_inverted() -> None:
    p = numpy.concatenate([numpy.geomspace(1e-300, 0.5, 1000), 1 - numpy.geomspace(1e-16, 0.5, 1000)])
    assert numpy.allclose(normal_quantile(torch.from_numpy(p)).numpy(), ndtri(p), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("block", [1, 4, 8, 2**18])
def test_series_are_interpolated_alike_however_many_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "BLOCK", block)
    nan = torch.nan
    x = torch.tensor([[[nan, 1, nan, nan], [4, nan, 8, nan]], [[nan] * 4, [0, 1, 2, 3]]])
    found = Interpolate(4)(x, torch.tensor([4, 3]))
    assert found.nan_to_num(9).tolist() == [[[1, 1, 1, 1], [4, 6, 8, 8]], [[9] * 4, [0, 1, 2, 3]]]
    assert found.dtype == torch.float32
    # A step of padding is no neighbour.
    x = torch.tensor([[[2, nan, 4, nan, 9]]]).double()
    assert Interpolate(5)(x, torch.tensor([4])).tolist() == [[[2, 3, 4, 4, 9]]]
    assert Interpolate(5)(x).tolist() == [[[2, 3, 4, 6.5, 9]]]
    assert Interpolate(6)(torch.tensor([[[1, nan, nan, nan, 9, nan]]])).tolist() == [[[1, 3, 5, 7, 9, 9]]]
    assert Interpolate(1)(torch.full((2, 1, 1), nan)).isnan().all()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 9, 16, 17])
@pytest.mark.parametrize("there", ["first", "last"])
def test_a_single_value_reaches_every_step(steps: int, there: str) -> None:
    x = torch.full((1, 1, steps), torch.nan)
    x[0, 0, 0 if there == "first" else -1] = 7.0
    assert Interpolate(steps)(x).flatten().tolist() == [7.0] * steps


def test_rows_are_prepared_in_order() -> None:
    """Gaps lie on a line, an empty channel has its value, and padding is 0 after the normalization."""
    statistics = Statistics(torch.tensor([1.0, 2.0]).double(), torch.tensor([2.0, 4.0]).double())
    fill = FillMissing(torch.tensor([5.0, 6.0]).double())
    x = torch.tensor([[[3.0, torch.nan, 7.0], [torch.nan, torch.nan, torch.nan]]])
    prepare = Preprocessor(statistics, fill, Interpolate(3))
    assert prepare(x, torch.tensor([2])).tolist() == [[[1, 1, 0], [1, 1, 0]]]
    assert prepare(x).tolist() == [[[1, 2, 3], [1, 1, 1]]]
    assert Preprocessor(statistics, fill)(x).tolist() == [[[1, 2, 3], [1, 1, 1]]]


@pytest.mark.parametrize("exporting", [False, True])
def test_ranks_among_quantiles_are_those_of_the_definition(exporting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: exporting)
    quantiles = torch.tensor([[0.0, 1.0, 1.0, 1.0, 3.0], [5.0, 5.0, 6.0, 7.0, 7.0]]).double()
    x = torch.tensor([[-1, 4], [0, 5], [0.5, 5.5], [1, 6], [2, 7], [3, 8], [torch.nan, 6.25]]).double()
    # A value that is repeated has the middle of its ranks: 1 those from 0.25 to 0.75.
    first, second = [0, 0, 0.125, 0.5, 0.875, 1, torch.nan], [0, 0.125, 0.375, 0.5, 0.875, 1, 0.5625]
    expected = torch.tensor([first, second]).T.double()
    assert torch.equal(ranks(x, quantiles).nan_to_num(9), expected.nan_to_num(9))
    assert torch.equal(ranks(x.unsqueeze(2).expand(-1, -1, 3), quantiles)[..., 2].nan_to_num(9), expected.nan_to_num(9))
