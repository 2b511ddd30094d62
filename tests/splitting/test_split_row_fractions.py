"""Splits by time and by group meet their ratios in rows, however unequal moments and groups are."""

from pathlib import Path

import numpy
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from datamodules import TableData

SPLITS = ("train", "val", "test")
RATIOS = st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.2, 0.2, 0.6), (0.8, 0.1, 0.1)])
FEW = settings(QUICK, max_examples=40)


def split_keys(path: Path, keys: numpy.ndarray, **options: object) -> list[numpy.ndarray]:
    """Returns the keys of the rows of each split, where ``key`` is the column to split by."""
    y = numpy.random.default_rng(len(keys)).normal(size=len(keys))
    frame = polars.DataFrame({"key": keys, "x": numpy.arange(len(keys)) * 0.5, "y": y})
    frame.write_parquet(path / "table.parquet")
    data = TableData(str(path / "table.parquet"), "y", **options)
    data.setup("fit")
    rows = [data.part(name)["row"].numpy() for name in SPLITS]
    assert sorted(numpy.concatenate(rows)) == list(range(len(keys)))
    return [keys[row] for row in rows]


@FEW
@given(st.lists(st.integers(1, 60), min_size=4, max_size=12), RATIOS, st.randoms(use_true_random=False))
def test_a_split_by_time_is_cut_at_the_nearest_row_counts(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], ratios: tuple[float, float, float], chance: object
) -> None:
    moments = [moment for moment, count in enumerate(counts) for _ in range(count)]
    chance.shuffle(moments)
    keys = numpy.array(moments)
    train, val, test = split_keys(tmp_path_factory.mktemp("time"), keys, time="key", ratios=ratios)
    assert train.max() < val.min()
    assert val.max() < test.min()
    ends = numpy.cumsum(counts)
    off_train = abs(ends[:-2] - ratios[0] * len(keys))
    assert abs(len(train) - ratios[0] * len(keys)) == pytest.approx(off_train.min())
    off_val = abs(ends[:-1][ends[:-1] > len(train)] - (ratios[0] + ratios[1]) * len(keys))
    assert abs(len(train) + len(val) - (ratios[0] + ratios[1]) * len(keys)) == pytest.approx(off_val.min())


def test_a_busy_moment_counts_by_its_rows(tmp_path: Path) -> None:
    """Of 100 rows 60 are of the first moment: 70 % of the rows are 11 moments, and 70 % of the moments are 88 rows."""
    keys = numpy.concatenate([numpy.zeros(60, dtype=int), numpy.arange(1, 41)])
    assert [len(rows) for rows in split_keys(tmp_path, keys, time="key")] == [70, 15, 15]


@FEW
@given(st.lists(st.sampled_from([1, 1, 1, 2, 12]), min_size=60, max_size=120), RATIOS, st.integers(0, 2**40))
def test_a_split_by_group_is_off_by_less_than_a_group(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], ratios: tuple[float, float, float], seed: int
) -> None:
    """Each group goes to the split that is owed most rows, so no split gets a whole group too many."""
    keys = numpy.repeat(numpy.arange(len(sizes)), sizes)
    found = split_keys(tmp_path_factory.mktemp("group"), keys, group="key", ratios=ratios, split_seed=seed)
    assert sum(len({*rows.tolist()}) for rows in found) == len(sizes)
    for rows, ratio in zip(found, ratios, strict=True):
        assert len(rows) - ratio * len(keys) < max(sizes)
