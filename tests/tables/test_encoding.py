"""The encoding of a table: statistics do not depend on how many columns are learned at a time."""

import polars
import pytest
import torch

from datamodules import DataError
from datamodules.preprocessing.normalization import learn as learn_normalizer
from datamodules.tables.columns import Columns
from datamodules.tables.encoding import Encoding, learn, learn_numbers
from datamodules.tables.lazy_numbers import Numbers


def columns(numbers: torch.Tensor, codes: torch.Tensor | None = None) -> Columns:
    names = [f"x{index}" for index in range(numbers.shape[1])]
    series = [polars.Series(name, column.numpy()) for name, column in zip(names, numbers.T.contiguous(), strict=True)]
    codes = torch.empty(len(numbers), 0, dtype=torch.int64) if codes is None else codes
    categories = [f"c{index}" for index in range(codes.shape[1])]
    return Columns(Numbers(series, len(numbers)), codes, names, categories, [["a", "b", "c"]] * len(categories), {})


@pytest.mark.parametrize("count", range(1, 14))
@pytest.mark.parametrize("method", ["standard", "robust"])
def test_statistics_are_the_same_bits_as_those_of_all_columns_at_once(count: int, method: str) -> None:
    draw = torch.Generator().manual_seed(count)
    x = torch.randn(1000, count, dtype=torch.float64, generator=draw) * 3 + 1
    x[torch.rand(x.shape, generator=draw) < 0.1] = torch.nan
    train = torch.randperm(1000, generator=draw)[:700]
    table = columns(x)
    encoding = learn(table, train)
    whole = learn_normalizer(encoding.numbers(table, train), method)
    found = learn_numbers(table, encoding, train, method)
    assert all(map(torch.equal, found.buffers(), whole.buffers()))
    medians = torch.tensor([float(column[~column.isnan()].quantile(0.5)) for column in x[train].T])
    assert list(encoding.medians.values()) == pytest.approx(medians.tolist())
    filled = encoding.numbers(table, train, slice(0, 1))
    assert torch.equal(filled[:, 0], x[train, 0].nan_to_num(encoding.medians["x0"]))


def test_a_table_of_categories_has_no_statistics_of_numbers() -> None:
    codes = torch.tensor([[2], [0], [-1], [1]])
    table, train = columns(torch.empty(4, 0, dtype=torch.float64), codes), torch.tensor([0, 1, 2])
    encoding = learn(table, train)
    assert encoding == Encoding({}, {"c0": ["a", "c"]}, [])
    assert encoding.cardinalities == (4,)
    assert encoding.indices(table, torch.arange(4)).tolist() == [[3], [2], [1], [0]]
    assert encoding.unknown(table, torch.arange(4)) == {"c0": 1}
    assert encoding.unknown(table, train) == {}
    assert [buffer.shape for buffer in learn_numbers(table, encoding, train, "standard").buffers()] == [(0,), (0,)]


def test_a_column_with_one_value_in_the_train_rows_is_learned_and_one_without_is_refused() -> None:
    numbers, codes = torch.tensor([[torch.nan], [5.0], [torch.nan]]), torch.tensor([[-1], [0], [-1]])
    table = columns(numbers.double(), codes)
    assert learn(table, torch.tensor([0, 1])) == Encoding({"x0": 5.0}, {"c0": ["a"]}, ["x0"])
    with pytest.raises(DataError, match="column x0 has no value in the 2 train rows"):
        learn(table, torch.tensor([0, 2]))
    with pytest.raises(DataError, match="column c0 has no value in the 2 train rows"):
        learn(columns(torch.empty(3, 0).double(), codes), torch.tensor([0, 2]))
