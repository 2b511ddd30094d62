"""What the graph does to raw numbers, against what the data modules do."""

import numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from tiny_data import QUICK

from datamodules.preprocessing.modules import preparation
from datamodules.preprocessing.normalization import Statistics, learn
from datamodules.preprocessing.quantile_map import QuantileMap, normal_quantile
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
    want = inputs.tensors(fill_gaps(x, lengths), lengths)["x"]
    longest = int(lengths.max()) if cut else steps
    got = preparation(inputs)(x[..., :longest], lengths)
    assert got.dtype == torch.float32
    assert (got - want[..., :longest]).abs().max() < 1e-6


@settings(QUICK, max_examples=100)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 1500), whole=st.booleans(), series=st.booleans())
def test_quantiles(seed: int, rows: int, whole: bool, series: bool) -> None:
    draw = numpy.random.default_rng(seed)
    x = draw.integers(-3, 4, (rows, 3, 2)).astype(float) if whole else draw.normal(size=(rows, 3, 2)) ** 3
    train = torch.from_numpy(x if series else x[..., 0])
    quantiles = learn(train, "quantile")
    beyond = torch.cat([train[:50], train[:50] * 1.5 - 0.25, torch.full_like(train[:1], 1e9)])
    assert (QuantileMap(quantiles)(beyond) - quantiles.apply(beyond)).abs().max() < 1e-6


def test_the_normal_distribution_inverted() -> None:
    p = numpy.concatenate([numpy.geomspace(1e-300, 0.5, 1000), 1 - numpy.geomspace(1e-16, 0.5, 1000)])
    assert numpy.allclose(normal_quantile(torch.from_numpy(p)).numpy(), ndtri(p), rtol=1e-12, atol=1e-14)
