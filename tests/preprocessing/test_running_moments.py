"""Statistics in one pass: exact to float64 wherever the mean lies, however the rows are cut."""

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules.preprocessing import running_moments as module
from datamodules.preprocessing.running_moments import Moments


def in_pieces(x: numpy.ndarray, *cuts: int) -> Moments:
    found = Moments(x.shape[1])
    for piece in numpy.split(x, sorted(cuts)):
        found.update(torch.from_numpy(numpy.ascontiguousarray(piece)))
    return found


def check(x: numpy.ndarray, found: Moments, tolerance: float = 1e-6) -> None:
    """Against numpy's own two passes in float64."""
    exact = x.astype(numpy.float64)
    std = numpy.nanstd(exact, axis=0)
    scale = numpy.where(std > 0, std, 1)
    assert numpy.abs(found.mean.numpy() - numpy.nanmean(exact, axis=0)).max() == pytest.approx(
        0, abs=tolerance * scale.min()
    )
    assert found.std.numpy() == pytest.approx(std, rel=tolerance, abs=1e-12)
    assert (found.count.numpy() == (~numpy.isnan(exact)).sum(axis=0)).all()
    assert (found.low.numpy() == numpy.nanmin(exact, axis=0)).all()
    assert (found.high.numpy() == numpy.nanmax(exact, axis=0)).all()


@QUICK
@given(st.data(), st.integers(1, 300), st.integers(1, 4), st.sampled_from([0.0, 1.0, 1e5]), st.sampled_from([32, 64]))
def test_any_rows_cut_anywhere(data: st.DataObject, rows: int, features: int, offset: float, bits: int) -> None:
    draw = numpy.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = (draw.normal(size=(rows, features)) * 3 + offset).astype(f"float{bits}")
    x[draw.random(x.shape) < data.draw(st.sampled_from([0.0, 0.3]))] = numpy.nan
    x[0] = offset  # no column without a value
    cuts = data.draw(st.lists(st.integers(0, rows), max_size=4))
    check(x, in_pieces(x, *cuts))


@pytest.mark.parametrize("chunk_bytes", [256, 4096, 1 << 19])
def test_a_drift_and_a_jump_cost_no_digits(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    draw = numpy.random.default_rng(0)
    drift = numpy.linspace(0, 1e4, 20_000)[:, None] + draw.normal(size=(20_000, 2))
    jump = numpy.where(numpy.arange(20_000) < 5, 0.0, 1e4)[:, None] + draw.normal(size=(20_000, 2))
    x = numpy.concatenate([drift, jump], axis=1).astype(numpy.float32)
    check(x, in_pieces(x, 7, 9_000))


def test_rows_near_the_mean_are_summed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far the mean is from 0, and in each piece of rows."""
    again: list[int] = []
    monkeypatch.setattr(Moments, "_add_odd", lambda self, x: again.append(len(x)))
    x = (1e5 + numpy.random.default_rng(0).normal(size=(6_000, 2))).astype(numpy.float32)
    in_pieces(x, 100, 3_000)
    assert again == []


def test_a_feature_without_a_value_so_far_has_no_moments() -> None:
    x = numpy.array([[1.0, numpy.nan], [3.0, numpy.nan]])
    found = in_pieces(x)
    assert found.count.tolist() == [2, 0]
    assert found.mean.tolist() == [2, 0]
    found.update(torch.tensor([[5.0, 7.0]]))
    assert found.mean.tolist() == [3, 7]
    assert (found.low.tolist(), found.high.tolist()) == ([1, 7], [5, 7])


def test_what_a_plain_float32_mean_loses() -> None:
    x = numpy.full((1_000_000, 1), 1000.1, numpy.float32) + numpy.arange(1_000_000)[:, None] % 2
    x = x.astype(numpy.float32)
    assert abs(float(numpy.add.accumulate(x[:, 0])[-1]) / len(x) - x.astype(numpy.float64).mean()) > 1e-3
    check(x, in_pieces(x, 1, 300_000))


def test_a_constant_column_has_no_spread_and_an_empty_one_no_count() -> None:
    x = numpy.full((5000, 2), 0.1, numpy.float32)
    x[:, 1] = numpy.nan
    found = in_pieces(x, 1234)
    assert found.std[0] == 0
    assert found.low[0] == found.high[0] == numpy.float32(0.1)
    assert found.count.tolist() == [5000, 0]


def test_an_infinite_value_shows_in_the_range() -> None:
    found = in_pieces(numpy.array([[1.0], [numpy.inf], [2.0]], numpy.float32))
    assert found.high[0] == torch.inf
    assert found.low[0] == 1


def test_positions_of_a_channel_are_merged() -> None:
    x = numpy.random.default_rng(0).normal(size=(500, 3, 7)).astype(numpy.float32) * [[[1.0], [10.0], [0.1]]] + 5
    x = x.astype(numpy.float32)
    found = in_pieces(x.reshape(500, 21), 100).over(3)
    check(x.transpose(0, 2, 1).reshape(-1, 3), found)


def test_moments_of_no_value_change_nothing() -> None:
    found = in_pieces(numpy.array([[1.0, 1.0], [3.0, 3.0]]))
    nothing, far = torch.zeros(2, dtype=torch.float64), torch.full((2,), 99.0, dtype=torch.float64)
    found.merge(nothing, far, far, -far, far)
    found.merge(nothing, far * torch.nan, far * torch.nan, far * torch.nan, far * torch.nan)
    check(numpy.array([[1.0, 1.0], [3.0, 3.0]]), found)
    found.merge(torch.tensor([1.0, 0.0]).double(), far, nothing, far, far)
    assert found.count.tolist() == [3.0, 2.0]
    assert found.mean.tolist() == pytest.approx([103 / 3, 2.0])
    assert found.std.tolist() == pytest.approx([numpy.std([1, 3, 99]), 1.0])
    assert (found.low.tolist(), found.high.tolist()) == ([1.0, 1.0], [99.0, 3.0])


@pytest.mark.filterwarnings("error")
def test_one_value_more_is_one_value_more() -> None:
    found = Moments(1)
    for count, value in enumerate((5.0, -3.0, 4.0), start=1):
        found.update(torch.tensor([[value]]))
        assert found.count.tolist() == [count]
    check(numpy.array([[5.0], [-3.0], [4.0]]), found)
    found.update(torch.empty(0, 1))
    assert found.count.tolist() == [3.0]


def test_rows_without_a_column_have_no_moments() -> None:
    found = Moments(0)
    found.update(torch.empty(3, 0))
    assert found.mean.shape == (0,)


@pytest.mark.parametrize("missing", [0, 1, 999, 1000, 1500])
def test_rows_that_begin_with_missing_values_cost_no_digits(missing: int) -> None:
    x = (numpy.random.default_rng(0).normal(size=(2000, 1)) + 1e5).astype(numpy.float32)
    x[:missing] = numpy.nan
    check(x, in_pieces(x))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", [1, 9, 10])
def test_rows_may_change_their_precision_and_number(rows: int) -> None:
    x = numpy.random.default_rng(0).normal(size=(60, 2)) + 3
    x[:10] = 3.0  # so that float32 loses no digit of them
    found = Moments(2)
    found.update(torch.from_numpy(x[:rows]).float())
    found.update(torch.from_numpy(x[rows:20]))
    found.update(torch.from_numpy(x[20:]))
    check(x, found, tolerance=1e-13)
