"""Statistics come from train rows only, are those of scikit-learn, and travel with the checkpoint."""

import io
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from tiny_data import QUICK, small_data
from torch import Tensor

from datamodules import DataError, InMemoryData, Rows
from datamodules.preprocessing.normalization import fit

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
EIGHTHS = st.integers(-800, 800).map(lambda eighths: eighths / 8)
UNITS = st.sampled_from([(0.0, 1.0), (1e6, 1.0), (0.0, 1e-5), (-1e3, 1e3)])
"""Center and scale of a feature."""

METHODS = pytest.mark.parametrize("method", ["standard", "minmax", "robust", "none"])


def numbers(*shape: int) -> st.SearchStrategy[numpy.ndarray]:
    return arrays(numpy.float64, shape, elements=EIGHTHS)


def in_units(values: numpy.ndarray, units: tuple[float, float]) -> numpy.ndarray:
    center, scale = units
    return center + scale * values


@pytest.mark.parametrize("method", SCALERS)
@QUICK
@given(st.integers(1, 12).flatmap(lambda rows: numbers(rows, 3)), numbers(4, 3), UNITS)
def test_a_tables_columns_are_scaled_as_by_scikit_learn(
    method: Any, train: numpy.ndarray, new: numpy.ndarray, units: tuple[float, float]
) -> None:
    train, new = in_units(train, units), in_units(new, units)
    statistics = fit(torch.from_numpy(train), method)
    scaler = SCALERS[method]().fit(train)
    for rows in (train, new):
        expected = scaler.transform(rows)
        numpy.testing.assert_allclose(statistics(torch.from_numpy(rows)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", SCALERS)
@pytest.mark.parametrize("shape", [(20, 2, 5), (20, 3, 4, 6)])
def test_series_and_images_are_scaled_by_channel(method: Any, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    x[:, 1] = 100 * x[:, 1] + 7
    by_channel = x.movedim(1, -1).reshape(-1, shape[1]).numpy()
    expected = SCALERS[method]().fit_transform(by_channel)
    found = fit(x, method)(x).movedim(1, -1).reshape(-1, shape[1])
    numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@METHODS
@pytest.mark.parametrize("value", [0.0, 0.1, -3e7, 1e-20])
def test_a_column_that_never_varies_becomes_zero(method: Any, value: float) -> None:
    column = torch.full((30, 1), value, dtype=torch.float64)
    found = fit(column, method)(column)
    torch.testing.assert_close(found, column.float() if method == "none" else torch.zeros(30, 1), atol=1e-6, rtol=0)


def test_nothing_is_changed_where_nothing_was_asked_for() -> None:
    x = torch.randn(9, 4)
    assert torch.equal(fit(x, "none")(x), x)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="normalize 'zscore' is unknown"):
        fit(torch.zeros(3, 1), "zscore")


def test_digits_that_float32_does_not_have_are_kept() -> None:
    noise = torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = small_data(1e8 + noise, torch.arange(200) % 2)
    data.setup("fit")
    train = data.part("train")["x"]
    assert (train.mean().item(), train.std(correction=0).item()) == pytest.approx((0, 1), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16])
def test_any_number_type_is_normalized(dtype: torch.dtype) -> None:
    x = (torch.arange(60).view(30, 2) * 3).to(dtype)
    data = small_data(x, torch.arange(30) % 2, normalize="minmax")
    data.setup("fit")
    train = data.part("train")["x"]
    assert train.dtype == torch.float32
    assert torch.equal(train.aminmax(dim=0).max, torch.ones(2))


def test_rows_in_any_memory_layout_are_taken() -> None:
    x, y = torch.randn(30, 7, 2), torch.randn(2, 30)
    plain = small_data(x.transpose(1, 2).contiguous(), y.T.contiguous(), "regression")
    viewed = small_data(x.transpose(1, 2), y.T, "regression")
    for data in (plain, viewed):
        data.setup("fit")
    assert torch.equal(plain.part("val")["x"], viewed.part("val")["x"])
    assert plain.fingerprints() == viewed.fingerprints()


def statistics_of(data: InMemoryData) -> list[Tensor]:
    data.setup("fit")
    assert data.split is not None
    assert data.statistics is not None
    targets = [] if data.target_statistics is None else [*data.target_statistics.buffers()]
    return [*data.split, *data.statistics.buffers(), *targets]


@METHODS
@pytest.mark.parametrize("task", ["multiclass", "regression"])
@settings(QUICK, max_examples=10)
@given(x=numbers(40, 2), other=numbers(40, 2), target=numbers(40), other_target=numbers(40))
def test_validation_and_test_rows_change_no_bit_of_the_statistics(
    method: Any, task: str, x: numpy.ndarray, other: numpy.ndarray, target: numpy.ndarray, other_target: numpy.ndarray
) -> None:
    y = torch.arange(40) % 3 if task == "multiclass" else torch.from_numpy(target)
    data = small_data(torch.from_numpy(x), y, task, normalize=method)
    before = statistics_of(data)
    unseen = torch.ones(40, dtype=torch.bool)
    unseen[before[0]] = False
    changed_x, changed_y = torch.from_numpy(x).clone(), y.clone()
    changed_x[unseen] = torch.from_numpy(other)[unseen] * 1e6
    if task == "regression":
        changed_y[unseen] = torch.from_numpy(other_target)[unseen] * 1e6
    changed = small_data(changed_x, changed_y, task, normalize=method)
    assert all(map(torch.equal, before, statistics_of(changed)))
    assert torch.equal(changed.part("train")["x"], data.part("train")["x"])


def test_train_rows_do_change_the_statistics() -> None:
    x, y = torch.randn(40, 2), torch.arange(40) % 3
    before = statistics_of(small_data(x, y))
    x[before[0][0]] += 1
    assert not torch.equal(statistics_of(small_data(x, y))[3], before[3])


def saved_and_read(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@METHODS
@pytest.mark.parametrize("set_up_first", [True, False])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_checkpoints_split_and_statistics_win_over_ones_own(method: Any, set_up_first: bool, task: str) -> None:
    x, y = torch.randn(60, 2), torch.arange(60) % 3
    source = small_data(x, y if task == "multiclass" else y.double(), task, split_seed=1, normalize=method)
    expected = statistics_of(source)
    taker = small_data(x, source.rows.y, task, split_seed=2, normalize="none")
    if set_up_first:
        taker.setup("test")
    taker.load_state_dict(saved_and_read(source.state_dict()))
    assert all(map(torch.equal, expected, statistics_of(taker)))
    assert taker.fingerprints() == source.fingerprints()
    for part in ("train", "val", "test"):
        assert all(torch.equal(taker.part(part)[name], source.part(part)[name]) for name in ("x", "y", "row"))


@pytest.mark.parametrize("change", ["x", "y", "shape"])
def test_a_checkpoint_of_other_data_is_refused(change: str) -> None:
    x, y = torch.randn(60, 2), torch.arange(60) % 3
    source = small_data(x, y)
    source.setup("fit")
    other_x, other_y = x.clone(), y.clone()
    if change == "x":
        other_x[59, 1] += 1e-3
    elif change == "y":
        other_y[0] = 2
    other = small_data(other_x.unsqueeze(1) if change == "shape" else other_x, other_y)
    with pytest.raises(DataError, match="trained on other data than what SmallData reads now"):
        other.load_state_dict(saved_and_read(source.state_dict()))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("column", ["inputs", "targets"])
def test_numbers_that_are_not_finite_are_refused_with_their_row(value: float, column: str) -> None:
    x, y = torch.randn(30, 2, 4), torch.randn(30)
    for row in (17, 21):
        (x[:, 1, 3] if column == "inputs" else y)[row] = value
    with pytest.raises(DataError, match=f"2 of 30 rows .* infinite {column}, the first of them row 17"):
        small_data(x, y, "regression").setup("fit")


def test_data_without_a_row_are_refused() -> None:
    data = small_data(torch.zeros(3, 2), torch.zeros(3), "regression")
    data.load = lambda: Rows(torch.zeros(0, 2), torch.zeros(0))
    with pytest.raises(DataError, match="SmallData has no rows"):
        data.setup("fit")
