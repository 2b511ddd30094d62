"""Preprocessing modules against numpy and scipy, as they run and as they are exported."""

import numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from tiny_data import QUICK

from datamodules.preprocessing.modules import Interpolate
from datamodules.preprocessing.normalization import Quantiles, Statistics, learn
from datamodules.preprocessing.quantile_map import normal_quantile
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


def exported(module: torch.nn.Module, *inputs: torch.Tensor) -> torch.nn.Module:
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    return torch.export.export(module, inputs, dynamic_shapes=shapes).module()


def test_an_exported_module_computes_the_same_bits() -> None:
    draw = torch.Generator().manual_seed(0)
    train = torch.randint(-3, 4, (200, 3), generator=draw).double() ** 3
    rows = torch.cat([train[:50] * 1.5 - 0.25, torch.full_like(train[:1], 1e9)])
    quantiles = learn(train, "quantile")
    assert torch.equal(exported(quantiles, train[:2])(rows), quantiles(rows))
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
