"""Normalization of each series by itself, against plain numpy, as it runs and as it is exported."""

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scaled_series import scaled_series
from tiny_data import QUICK, small_data

from datamodules import DataError
from datamodules.preprocessing.modules import Preprocessor
from datamodules.preprocessing.normalization import learn, restore
from datamodules.preprocessing.series_normalization import SeriesNormalization


def drawn(seed: int, rows: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws series (N, 2, 12) of scales from 1e-6 to 1e6, one channel of them constant, and their lengths."""
    draw = torch.Generator().manual_seed(seed)
    scale = 10 ** (torch.rand(rows, 2, 1, generator=draw, dtype=torch.float64) * 12 - 6)
    x = (torch.randn(rows, 2, 12, generator=draw, dtype=torch.float64) + 2) * scale
    x[0, 1] = 0.1
    lengths = torch.randint(2, 13, (rows,), generator=draw)
    return x.where(torch.arange(12) < lengths.view(-1, 1, 1), 0.0), lengths


def by_numpy(x: torch.Tensor, lengths: torch.Tensor) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Returns normalized series (N, C, T), means (N, C) and standard deviations (N, C), series by series."""
    normal, means, deviations = numpy.zeros(x.shape), numpy.zeros(x.shape[:2]), numpy.zeros(x.shape[:2])
    for row, steps in enumerate(lengths.tolist()):
        for channel in range(x.shape[1]):
            values = x[row, channel, :steps].numpy()
            means[row, channel] = values.mean()
            if values.min() < values.max():
                deviations[row, channel] = values.std()
                normal[row, channel, :steps] = (values - values.mean()) / values.std()
    return normal, means, deviations


@QUICK
@given(seed=st.integers(0, 2**31))
def test_each_series_is_normalized_by_itself(seed: int) -> None:
    x, lengths = drawn(seed)
    statistics = learn(x, "series", lengths)
    found = Preprocessor(statistics)(x, lengths)
    assert found.shape == (8, 6, 12)
    assert found.isfinite().all()
    normal, means, deviations = by_numpy(x, lengths)
    numpy.testing.assert_allclose(found[:, :2], normal, atol=1e-5)
    least = numpy.where(deviations > 0, deviations, numpy.inf).min(axis=0)
    deviations = numpy.maximum(deviations, least)
    level = numpy.sign(means) * numpy.log1p(numpy.abs(means) / deviations)
    both = numpy.concatenate([level, numpy.log(deviations)], axis=1)
    expected = (both - both.mean(axis=0)) / both.std(axis=0)
    for row, steps in enumerate(lengths.tolist()):
        numpy.testing.assert_allclose(found[row, 2:, :steps], expected[row, :, None].repeat(steps, 1), atol=1e-4)
    assert (found * (torch.arange(12) >= lengths.view(-1, 1, 1)) == 0).all()


@QUICK
@given(seed=st.integers(0, 2**31))
def test_nothing_is_lost(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    level, scale = (10 ** (torch.rand(8, 2, 1, generator=draw, dtype=torch.float64) * 6 - 3) for _ in range(2))
    x = (torch.randn(8, 2, 12, generator=draw, dtype=torch.float64) - level) * scale
    x[0, 1] = 0.1
    statistics = learn(x, "series")
    off = (statistics.inverse(statistics(x).double()) - x).abs().amax(dim=2)
    assert (off < 1e-4 * x.abs().amax(dim=2)).all()


def test_padding_changes_nothing() -> None:
    x, lengths = drawn(1)
    statistics = learn(x, "series", lengths)
    filled = x.where(torch.arange(12) < lengths.view(-1, 1, 1), 1e9)
    assert torch.equal(Preprocessor(statistics)(filled, lengths), Preprocessor(statistics)(x, lengths))
    for name, value in learn(filled, "series", lengths).state_dict().items():
        assert torch.equal(value, statistics.state_dict()[name]), name


def test_series_that_were_standardized_before_have_no_level() -> None:
    """Their means are rounding errors, which standardization would make as large as anything else."""
    x = torch.randn(50, 1, 40, generator=torch.Generator().manual_seed(0))
    x = (x - x.mean(dim=2, keepdim=True)) / x.std(dim=2, keepdim=True)
    normal = learn(x, "series")(x)
    assert (normal[:, 1:] == 0).all()
    assert torch.allclose(normal[:, :1], x * (40 / 39) ** 0.5, atol=1e-5)


def test_statistics_travel_and_come_from_train_rows() -> None:
    x, lengths = drawn(2)
    statistics = learn(x, "series", lengths)
    again = restore(statistics.state_dict())
    assert isinstance(again, SeriesNormalization)
    assert torch.equal(again(x, lengths), statistics(x, lengths))
    series, y = torch.randn(40, 2, 6), torch.arange(40) % 2
    data = small_data(series, y, normalize="series")
    data.input_shape = data.normalized_shape((2, 6))
    data.setup("fit")
    other = series.clone()
    other[data.split.val], other[data.split.test] = 1e6, -1e6
    changed = small_data(other, y, normalize="series")
    changed.split = data.split
    changed.setup("fit")
    for name, value in data.statistics.state_dict().items():
        assert torch.equal(value, changed.statistics.state_dict()[name]), name


def test_the_graph_of_an_export_normalizes_alike() -> None:
    arrays = scaled_series(30)
    x, lengths = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["lengths"])
    module = Preprocessor(learn(x, "series", lengths))
    shapes = ({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC})
    graph = torch.export.export(module, (x, lengths), dynamic_shapes=shapes).module()
    assert torch.equal(graph(x[:5], lengths[:5]), module(x[:5], lengths[:5]))


def test_other_rows_are_refused() -> None:
    x, y = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    table = small_data(x, y, normalize="series")
    with pytest.raises(
        DataError, match="normalize series is for series, and a row of SmallData is of the modality table"
    ):
        table.normalized_shape((2,))
