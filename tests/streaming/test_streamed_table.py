"""Rows streamed from the disk: the same as in memory, in bounded memory, in an order that is a function of the seed."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import seed_everything
from scipy.stats import spearmanr
from tiny_data import QUICK, model_for, quiet_trainer

from datamodules import DataError, StreamedTable, TableData
from datamodules.loading.block_loader import BlockLoader
from datamodules.preprocessing.normalization import Quantiles
from datamodules.streaming.hash_split import uniform
from lit_models import LitMLP


def table(rows: int = 600, seed: int = 0) -> polars.DataFrame:
    draw = numpy.random.default_rng(seed)
    missing = [None if drawn < 0.2 else drawn for drawn in draw.random(rows)]
    a = draw.normal(size=rows).astype(numpy.float32) * 3 + 100
    return polars.DataFrame(
        {
            "a": a,
            "b": missing,
            "city": draw.choice(["Rome", "Oslo", "Lima", None], rows),
            "who": draw.integers(0, 40, rows),
            "part": draw.choice(["train", "val", "test"], rows, p=[0.6, 0.2, 0.2]),
            "label": numpy.where(a > 100, "yes", "no"),
        }
    )


def write(frame: polars.DataFrame, folder: Path, files: int = 3) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-len(frame) // files)
    for index in range(files):
        frame[index * size : (index + 1) * size].write_parquet(folder / f"{index}.parquet", row_group_size=100)
    return str(folder)


@pytest.fixture
def stream(tmp_path: Path) -> Callable[..., StreamedTable]:
    """A streamed table of a frame, set up."""
    numbers = itertools.count()

    def make(frame: polars.DataFrame, target: str = "label", **kwargs) -> StreamedTable:
        path = write(frame, tmp_path / f"rows{next(numbers)}")
        made = StreamedTable(path, target, cache=str(tmp_path / "cache"), **kwargs)
        made.setup("fit")
        return made

    return make


# The same as in memory


@pytest.mark.parametrize("normalize", ["standard", "minmax", "robust", "quantile", "none"])
def test_what_is_learned_is_what_a_table_in_memory_learns(stream, tmp_path: Path, normalize: str) -> None:
    frame = table()
    ours = stream(frame, drop="who", split_column="part", normalize=normalize)
    path = tmp_path / "one.parquet"
    frame.write_parquet(path)
    other = TableData(str(path), "label", drop="who", split_column="part", normalize=normalize)
    other.setup("fit")
    assert ours.encoding.categories == other.encoding.categories
    assert ours.encoding.medians == pytest.approx(other.encoding.medians, rel=1e-6)
    for one, two in zip(ours.statistics.buffers(), other.statistics.buffers(), strict=True):
        assert torch.allclose(one, two, rtol=1e-6, atol=1e-6)
    facts = ("task", "modality", "input_shape", "num_outputs", "cardinalities", "class_names")
    assert all(getattr(ours, name) == getattr(other, name) for name in facts)
    assert ours.part_rows() == other.part_rows()
    assert torch.equal(ours.class_counts(), other.class_counts())
    for name in ("train", "val", "test"):
        mine, theirs = ours.part(name), other.part(name)
        assert mine.keys() == theirs.keys()
        assert all(torch.allclose(mine[key].double(), theirs[key].double(), atol=1e-5) for key in mine)


def test_regression_learns_the_targets_statistics(stream) -> None:
    frame = table().drop("label").with_columns(y=polars.col("a").cast(polars.Float64) * 7)
    data = stream(frame, "y", drop=["who", "part"])
    y = data.part("train")["y"]
    assert data.task == "regression"
    assert data.target_statistics.center == pytest.approx(y.mean(dim=0), rel=1e-9)
    assert data.target_statistics.scale == pytest.approx(y.std(dim=0, correction=0), rel=1e-9)


def test_medians_of_many_rows_are_those_of_a_sample(stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.streaming.streaming_statistics.SAMPLE_ROWS", 1000)
    frame = table(6000).select("a", "b", "label")
    data = stream(frame, normalize="quantile")
    assert isinstance(data.statistics, Quantiles)
    assert data.encoding.medians["a"] == pytest.approx(frame["a"].median(), abs=0.4)  # 4 standard errors of 1000 rows
    assert data.encoding.medians["a"] != frame["a"].median()


# The split


@QUICK
@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_numbers_for_rows_are_spread_evenly_and_are_new_for_each_seed(seed: int, other: int) -> None:
    rows = numpy.arange(20_000, dtype=numpy.uint64)
    drawn = uniform(rows, seed)
    counts = numpy.histogram(drawn, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 60  # chi-squared with 19 degrees of freedom: 1 in 3 million is above
    assert abs(numpy.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.04
    if other != seed:
        assert abs(numpy.corrcoef(drawn, uniform(rows, other))[0, 1]) < 0.04


def test_parts_are_disjoint_whole_and_nearly_as_large_as_asked(stream) -> None:
    data = stream(table(6000), drop=["who", "part"])
    rows = [data.part(name)["row"] for name in ("train", "val", "test")]
    assert torch.equal(torch.cat(rows).sort().values, torch.arange(6000))
    assert data.part_rows()["train"] / 6000 == pytest.approx(0.7, abs=0.03)
    assert data.part_rows()["val"] / 6000 == pytest.approx(0.15, abs=0.03)
    again = stream(table(6000), drop=["who", "part"], split_seed=1)
    assert again.fingerprints()["data"] == data.fingerprints()["data"]
    assert again.fingerprints()["split"] != data.fingerprints()["split"]


def test_no_group_is_in_two_parts(stream) -> None:
    frame = table()
    data = stream(frame, group="who", drop="part")
    groups = [set(frame["who"].gather(data.part(name)["row"].numpy())) for name in ("train", "val", "test")]
    assert all(groups)
    assert sum(map(len, groups)) == len(set.union(*groups)) == frame["who"].n_unique()


def test_folds_cover_all_rows(stream) -> None:
    tested = [stream(table(), drop=["who", "part"], folds=3, fold=fold).part("test")["row"] for fold in range(3)]
    assert torch.equal(torch.cat(tested).sort().values, torch.arange(600))


def test_parts_may_be_folders_of_their_own(stream, tmp_path: Path) -> None:
    frame = table().drop("who", "part")
    test = write(table(100, seed=1).drop("who", "part"), tmp_path / "test", files=1)
    data = stream(frame, test_path=test)
    assert data.part("test")["row"].tolist() == list(range(600, 700))
    assert data.part_rows()["val"] == pytest.approx(600 * 0.15 / 0.85, abs=30)


def learned(frame: polars.DataFrame, folder: Path) -> dict[str, Any]:
    """Returns the checkpoint state of rows with a split column."""
    data = StreamedTable(write(frame, folder / "rows"), "label", drop="who", split_column="part", cache=str(folder))
    data.setup("fit")
    return data.state_dict()


@pytest.fixture(scope="module")
def as_it_was(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return learned(table(200), tmp_path_factory.mktemp("leak"))


@QUICK
@given(st.integers(0, 2**32), st.floats(-1e6, 1e6), st.sampled_from(["Rome", "Nowhere", None]))
def test_nothing_is_learned_of_validation_and_test_rows(
    as_it_was: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    number: float,
    city: str | None,
) -> None:
    frame = table(200)
    held = frame["part"] != "train"
    draw = numpy.random.default_rng(seed)
    changed = frame.with_columns(
        a=polars.when(held).then(number).otherwise("a").cast(polars.Float32),
        b=polars.when(held).then(polars.Series(draw.normal(size=200))).otherwise("b"),
        city=polars.when(held).then(polars.lit(city)).otherwise("city"),
    )
    one, two = as_it_was, learned(changed, tmp_path_factory.mktemp("leak"))
    assert one["encoding"] == two["encoding"]
    assert all(torch.equal(one["statistics"][name], two["statistics"][name]) for name in one["statistics"])
    assert one["fingerprints"]["data"] != two["fingerprints"]["data"]


# The order


class Rows:
    """Blocks of row numbers."""

    def __init__(self, counts: list[int]) -> None:
        self.counts = torch.tensor(counts)

    def read(self, block: int) -> dict[str, torch.Tensor]:
        first = int(self.counts[:block].sum())
        return {"row": torch.arange(first, first + int(self.counts[block]))}

    def finish(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return batch


def rows_of(loader: BlockLoader) -> list[list[int]]:
    return [batch["row"].tolist() for batch in loader]


COUNTS = st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any)


@QUICK
@given(COUNTS, st.integers(1, 30), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 99), st.data())
def test_blocks_give_every_row_once_resume_anywhere_and_are_shared_out(
    counts: list[int], buffer: int, each: int, world_size: int, shuffle: bool, seed: int, data: st.DataObject
) -> None:
    def loader(rank: int = 0, world_size: int = 1) -> BlockLoader:
        made = BlockLoader(
            Rows(counts), buffer, batch_size=each * size, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size
        )
        made.set_epoch(3)
        return made

    size = world_size
    whole = rows_of(loader())
    seen = list(itertools.chain(*whole))
    assert len(loader()) == len(whole)
    assert len(set(seen)) == len(seen) >= sum(counts) - shuffle
    if not shuffle:
        assert seen == list(range(sum(counts)))
    interrupted, done = loader(), data.draw(st.integers(0, max(0, len(whole) - 1)))
    list(itertools.islice(interrupted, done))
    restored = BlockLoader(Rows(counts), buffer, batch_size=each * size, shuffle=shuffle)
    restored.load_state_dict(interrupted.state_dict())
    restored.set_epoch(3)
    assert rows_of(restored) == whole[done:]
    shares = [rows_of(loader(rank, world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    for batch, *parts in zip(whole, *shares, strict=False):
        dealt = sorted(itertools.chain(*parts))
        assert set(dealt) <= set(batch)
        sizes = {len(part) for part in parts}
        assert max(sizes) - min(sizes) <= 1 if shuffle else dealt == batch  # an only batch need not divide evenly


def test_the_shuffling_is_as_good_as_it_says() -> None:
    blocks, rows, buffer = 400, 25, 40
    loader = BlockLoader(Rows([rows] * blocks), buffer * rows, batch_size=50, shuffle=True, seed=0)
    batches = torch.tensor(rows_of(loader))
    assert abs(spearmanr(batches.flatten().numpy(), numpy.arange(blocks * rows)).statistic) < 0.05
    block = batches // rows
    same = (block.unsqueeze(2) == block.unsqueeze(1)).sum(dim=(1, 2)) - 50
    assert float(same.sum()) / (len(batches) * 50 * 49) == pytest.approx(1 / buffer, rel=0.1)
    one_class = (batches.view(-1, buffer * rows) < blocks * rows / 2).double().mean(dim=1)  # of a sorted file
    assert float(one_class.std()) == pytest.approx((0.25 / buffer) ** 0.5, rel=0.6)


# A run


def test_a_fit_on_a_folder_learns_resumes_and_tests(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENHAND_CACHE", str(tmp_path / "cache"))
    path = write(table(3000), tmp_path / "rows")
    words = ["--data", "StreamedTable", "--data.path", path, "--data.target", "label", "--data.drop", "[who,part]"]
    record = fit(*words, "--model", "LitMLP", "--trainer.max_epochs", "6", "--seed_everything", "0")
    assert record["metrics"]["test/accuracy"] > 0.9
    assert any("exact copies were not looked for" in note for note in record["notes"])
    predictions = polars.read_parquet(record["path"] / "predictions.parquet")
    assert len(predictions) == record["rows"]["test"] == predictions["row"].n_unique()
    assert (record["path"] / "inspection.json").exists()


def test_a_checkpoint_brings_what_was_learned(stream, tmp_path: Path) -> None:
    seed_everything(0, verbose=False)
    data = stream(table(), drop=["who", "part"], batch_size=50)
    model = model_for(data, LitMLP, cardinalities=data.cardinalities)
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(model, data)
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    other = stream(table(), drop=["who", "part"], batch_size=50)
    state = torch.load(tmp_path / "own.ckpt", weights_only=True)["StreamedTable"]
    other.statistics = None
    other.load_state_dict(state)
    other.setup("test")
    assert all(torch.equal(a, b) for a, b in zip(other.part("test").values(), data.part("test").values(), strict=True))
    with pytest.raises(DataError, match="other data"):
        stream(table(seed=1), drop=["who", "part"]).load_state_dict(state)
    with pytest.raises(DataError, match="another split"):
        stream(table(), drop=["who", "part"], split_seed=1).load_state_dict(state)


# The cache


def test_a_conversion_is_made_once_and_again_for_other_files(stream, tmp_path: Path) -> None:
    data = stream(table(), drop=["who", "part"])
    (made,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    stamp = os.stat(made / "numbers.npy").st_mtime_ns
    path = str(tmp_path / "rows0")
    StreamedTable(path, "label", drop=["who", "part"], cache=str(tmp_path / "cache"))
    assert os.stat(made / "numbers.npy").st_mtime_ns == stamp
    write(table(seed=5), Path(path))
    again = StreamedTable(path, "label", drop=["who", "part"], cache=str(tmp_path / "cache"))
    assert again.fingerprints()["data"] != data.fingerprints()["data"]
    assert [one for one in (tmp_path / "cache").iterdir() if one.is_dir()] == [made]


def test_what_a_killed_conversion_left_is_cleared(stream, tmp_path: Path) -> None:
    stream(table(), drop=["who", "part"])
    (made,) = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    made.rename(made.with_suffix(".new"))
    data = StreamedTable(str(tmp_path / "rows0"), "label", drop=["who", "part"], cache=str(tmp_path / "cache"))
    assert [one for one in (tmp_path / "cache").iterdir() if one.is_dir()] == [made]
    assert sum(data.part_rows().values()) == 600


# What is refused


BAD = {
    "a label that is missing": ({"label": [None, "b"] * 10}, {}, "target label is missing"),
    "an infinite number": ({"a": [1.0, float("inf")] * 10}, {}, "infinite"),
    "nested cells": ({"a": [[1], [2]] * 10}, {}, "no cell of a table"),
    "no such column": ({}, {"target": "lable"}, "there is no such column"),
    "a split by time": ({}, {"time": "a"}, "cannot be split by time"),
    "strata": ({}, {"stratify": True}, "cannot be stratified"),
    "a balanced sampler": ({}, {"sampler": "balanced"}, "leave --data.sampler out"),
    "a column without a value": ({"a": polars.Series([None] * 20, dtype=polars.Float64)}, {}, "no value"),
    "an empty part": ({}, {"ratios": (0.999998, 0.000001, 0.000001)}, "is in the val part"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_refused(case: str, tmp_path: Path) -> None:
    columns, settings, sentence = BAD[case]
    frame = polars.DataFrame({"a": [float(row) for row in range(20)], "label": ["a", "b"] * 10} | columns)
    with pytest.raises(DataError, match=sentence):
        StreamedTable(
            **{"path": write(frame, tmp_path / "rows", 1), "target": "label", "cache": str(tmp_path)} | settings
        ).setup("fit")


def test_files_that_differ_or_are_damaged_are_named(tmp_path: Path) -> None:
    path = write(table(), tmp_path / "rows")
    table().drop("a").write_parquet(tmp_path / "rows" / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet lacks the column a"):
        StreamedTable(path, "label", cache=str(tmp_path))
    (tmp_path / "rows" / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"x\.parquet cannot be read"):
        StreamedTable(path, "label", cache=str(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.parquet file"):
        StreamedTable(str(tmp_path / "empty"), "label")


# Memory

FITTING = """
import resource, sys
import experiments.cli.lightning_cli, polars
from experiments.__main__ import main
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
main(sys.argv[1:])
print("MiB above the imports:", peak() - before)
"""


@pytest.mark.parametrize(("rows", "limit"), [(1_000_000, 160), pytest.param(8_000_000, 192, marks=pytest.mark.slow)])
def test_a_fit_stays_under_a_limit_that_the_data_exceed(rows: int, limit: int, tmp_path: Path) -> None:
    features, files = 64, 10
    (tmp_path / "rows").mkdir()
    draw = numpy.random.default_rng(0)
    for index in range(files):
        x = draw.standard_normal((rows // files, features), dtype=numpy.float32)
        columns = {f"x{column}": numpy.ascontiguousarray(x[:, column]) for column in range(features)}
        frame = polars.DataFrame({**columns, "label": (x[:, 0] > 0).astype(numpy.int8)})
        frame.write_parquet(tmp_path / "rows" / f"{index}.parquet", row_group_size=50_000, compression="uncompressed")
    size = rows * features * 4 / 2**20
    assert size > 1.5 * limit
    words = ["fit", "--data", "StreamedTable", "--data.path", str(tmp_path / "rows"), "--data.target", "label"]
    words += ["--data.batch_size", "8192", "--data.ratios", "[0.9,0.05,0.05]", "--model", "LitLinear"]
    words += ["--trainer.limit_train_batches", "20"]  # every row was read for the statistics
    words += ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(tmp_path)]
    environment = os.environ | {"EVENHAND_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", FITTING, *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    above = float(done.stdout.rpartition("MiB above the imports:")[2])
    assert above < limit, f"{above:.0f} MiB for {size:.0f} MiB of data"
