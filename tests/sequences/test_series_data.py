"""Series: statistics, splits, windows and batches."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK, writer
from wave_series import LONG, as_long, made, waves

from datamodules import DataError
from datamodules.inspection.inspection import inspect
from lit_models import LitCNN

NAN = float("nan")
Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.npz")


# What is learned


def test_gaps_lie_on_a_line_and_empty_channels_get_the_train_mean(save: Save) -> None:
    x = numpy.array(
        [
            [[NAN, 1, NAN, NAN, 4, NAN], [10, 10, 10, 10, 10, 10]],
            [[2, 2, 2, NAN, NAN, 2], [NAN] * 6],
            [[9, 9, 9, 9, 9, 9], [20, NAN, NAN, NAN, NAN, NAN]],
            [[NAN] * 6, [0, 0, 0, 0, 0, 0]],
        ]
    )
    part = numpy.array(["train", "train", "val", "test"])
    data = made(save({"x": x, "y": numpy.array([0, 1, 0, 1]), "part": part}), split_column="part", normalize="none")
    train, val, test = (data.part(name)["x"] for name in ("train", "val", "test"))
    assert train[0, 0].tolist() == [1, 1, 2, 3, 4, 4]
    assert train[1].tolist() == [[2] * 6, [10] * 6]
    assert val[0].tolist() == [[9] * 6, [20] * 6]
    mean = (1 + 1 + 2 + 3 + 4 + 4 + 6 * 2) / 12
    assert test[0, 0].tolist() == pytest.approx([mean] * 6)
    assert data.fill.tolist() == pytest.approx([mean, 10])


def test_statistics_are_those_of_the_train_steps(save: Save) -> None:
    arrays = waves()
    data = made(save(arrays))
    steps = [arrays["x"][row][:, : arrays["lengths"][row]] for row in data.split.train]
    values = numpy.concatenate(steps, axis=1)
    assert data.statistics.center.tolist() == pytest.approx(values.mean(axis=1).tolist(), rel=1e-12)
    assert data.statistics.scale.tolist() == pytest.approx(values.std(axis=1).tolist(), rel=1e-12)
    part = data.part("val")
    row, length = int(part["row"][0]), int(part["lengths"][0])
    wanted = (arrays["x"][row] - values.mean(axis=1)[:, None]) / values.std(axis=1)[:, None]
    assert part["x"][0, :, :length].numpy() == pytest.approx(wanted[:, :length], abs=1e-5)
    assert not part["x"][0, :, length:].any()


def parts_of(lengths: dict[str, list[int]]) -> dict[str, numpy.ndarray]:
    """Series of given lengths in given parts."""
    part = numpy.array([name for name, each in lengths.items() for _ in each])
    steps = numpy.array([one for each in lengths.values() for one in each])
    x = numpy.random.default_rng(0).normal(size=(len(part), 1, steps.max()))
    return {"x": x, "y": numpy.arange(len(part)) % 2, "lengths": steps, "part": part}


def test_longer_series_than_in_train_are_cut_and_counted(save: Save) -> None:
    arrays = parts_of({"train": [4, 6, 6], "val": [3, 6], "test": [9, 6, 7]})
    data = made(save(arrays), split_column="part", normalize="none")
    assert data.input_shape == (1, 6)
    assert data.notes == ("longer than the 6 steps of the longest train row, and cut: 2 of 3 test rows",)
    test = data.part("test")
    assert test["x"].numpy() == pytest.approx(arrays["x"][5:, :, :6], abs=1e-6)
    assert "lengths" not in test
    assert data.part("val")["lengths"].tolist() == [3, 6]


OTHERS = st.lists(
    st.tuples(st.lists(st.floats(-1e6, 1e6) | st.just(NAN), min_size=1, max_size=9), st.integers(0, 1)),
    min_size=2, max_size=6,
)  # fmt: skip


@QUICK
@given(OTHERS, st.sampled_from(["standard", "minmax", "robust", "quantile"]), st.sampled_from([None, 2]))
def test_no_change_of_val_or_test_series_changes_what_is_learned(
    tmp_path_factory: pytest.TempPathFactory, others: list[tuple], normalize: str, window: int | None
) -> None:
    train = [([1.0, NAN, 3.0], 0), ([2.5, 7.0, 1.0, 0.5], 1), ([NAN], 1), ([4.0, 4.0], 0)]
    path = tmp_path_factory.getbasetemp() / "leak.npz"

    def learned(others: list[tuple]) -> list:
        every = [*train, *others]
        lengths = numpy.array([len(values) for values, _ in every])
        x = numpy.zeros((len(every), lengths.max()))
        for row, (values, _) in zip(x, every, strict=True):
            row[: len(values)] = values
        part = numpy.array(["train"] * len(train) + ["val"] + ["test"] * (len(others) - 1))
        numpy.savez(path, x=x, y=numpy.array([y for _, y in every]), lengths=lengths, part=part)
        data = made(str(path), split_column="part", normalize=normalize, window=window, duplicates="ignore")
        state = data.state_dict()
        tensors = [*state["statistics"].values(), state["fill"], *data.part("train").values()]
        return [state["steps"], *([value.hex() for value in one.double().flatten().tolist()] for one in tensors)]

    assert learned(others) == learned([([0.0], 0), ([1.0], 1)])


def test_a_checkpoint_brings_what_was_learned(save: Save) -> None:
    arrays = waves()
    arrays["x"][7, 1] = numpy.nan
    path = save(arrays)
    first = made(path)
    second = made(path, split_seed=3)
    assert second.fill.tolist() != first.fill.tolist()
    second.load_state_dict(first.state_dict())
    assert (second.input_shape, second.fill.tolist()) == (first.input_shape, first.fill.tolist())
    assert all(torch.equal(first.part("test")[name], second.part("test")[name]) for name in first.part("test"))
    with pytest.raises(DataError, match="other data"):
        second.load_state_dict(made(save(waves(seed=1), "other.npz")).state_dict())


def test_an_inspection_tells_each_channels_mean_and_the_steps(save: Save) -> None:
    arrays = waves()
    arrays["x"][3, 0] = numpy.nan
    data = made(save(arrays))
    features = data.features()
    assert features.columns == ["mean of 0", "mean of 1", "steps"]
    assert features["mean of 1"][5] == pytest.approx(arrays["x"][5, 1, : arrays["lengths"][5]].mean())
    assert [column.missing for column in inspect(data).columns] == [1, 0, 0]
    parts = made(save(arrays, "train.npz"), test_path=save(waves(20, seed=1), "test.npz"), window=8)
    assert inspect(parts).rows["test"] == len(parts.split.test)


# Splits


@pytest.mark.parametrize("form", ["npz", "long"])
def test_every_way_to_split(save: Save, form: str) -> None:
    arrays = waves()
    arrays["part"] = numpy.array(["train", "train", "train", "val", "test"] * 12)
    path = save(arrays) if form == "npz" else save(as_long(arrays), "my.parquet")
    words = {} if form == "npz" else LONG | {"drop": []}

    def split(**kwargs: Any) -> list[list[int]]:
        steering = {kwargs.get(name) for name in ("group", "time", "split_column")}
        if form == "long":
            kwargs["drop"] = sorted({"person", "day", "part"} - steering)
        data = made(path, **words | kwargs)
        assert data.input_shape[0] == 2
        parts = [part.tolist() for part in data.split]
        assert sorted(chain(*parts)) == list(range(60))
        assert all(parts)
        return parts

    assert [len(part) for part in split()] == [42, 9, 9]
    assert split() != split(split_seed=1)
    folds = [split(folds=4, fold=fold)[2] for fold in range(4)]
    assert sorted(chain(*folds)) == list(range(60))
    _, val, test = split(split_column="part")
    assert (test, val) == (list(range(4, 60, 5)), list(range(3, 60, 5)))
    persons = [{row // 4 for row in part} for part in split(group="person")]
    assert len(set.union(*persons)) == sum(map(len, persons)) == 15
    days = [arrays["day"][part] for part in split(time="day")]
    assert days[0].max() < days[1].min() <= days[1].max() < days[2].min()


# Windows


def test_windows_of_a_series_stay_in_one_part_and_have_its_target(save: Save) -> None:
    arrays = waves(30, 24)
    data = made(save(arrays), window=8, stride=3, normalize="none")
    about = data.rows.about
    series, starts = about["series"].to_numpy(), about["start"].to_numpy()
    parts = [set(series[part]) for part in data.split]
    assert sorted(map(len, parts)) == [4, 5, 21]
    assert len(set.union(*parts)) == 30
    for number, length in enumerate(arrays["lengths"]):
        assert starts[series == number].tolist() == list(range(0, length - 7, 3))
    for row in (0, 17, len(series) - 1):
        wanted = arrays["x"][series[row], :, starts[row] : starts[row] + 8]
        assert data.rows.x[row].numpy() == pytest.approx(wanted)
        assert data.rows.y[row] == arrays["y"][series[row]]
    assert data.input_shape == (2, 8)
    assert "lengths" not in data.part("train")
    with pytest.raises(DataError, match=r"--data\.group"):
        made(save(arrays), window=8, group="start")


def test_windows_of_short_series_and_of_copies(save: Save) -> None:
    arrays = parts_of({"train": [5, 2, 9, 4], "val": [9], "test": [9]}) | {"y": numpy.array([0, 1, 0, 1, 1, 0])}
    data = made(save(arrays), split_column="part", window=4)
    assert data.rows.about["start"].to_list() == [0, 0, 0, 4, 0, 0, 4, 0, 4]
    assert data.part("train")["lengths"].tolist() == [4, 2, 4, 4, 4]
    twice = {name: numpy.concatenate([column, column]) for name, column in waves(30).items()}
    kept = made(save(twice, "twice.npz"), window=8)
    series = kept.rows.about["series"].to_numpy() % 30
    assert not set(series[kept.split.train]) & set(series[kept.split.test])
    assert kept.notes == ("exact copies of an earlier row: 30 of 60 rows, kept in one part",)
    dropped = made(save(twice, "twice.npz"), window=8, duplicates="drop")
    assert set(numpy.concatenate([dropped.rows.about["series"].to_numpy()[part] for part in dropped.split])) == {
        *range(30)
    }


# Batches


def test_a_batch_has_the_steps_of_its_longest_row_on_any_number_of_processes(save: Save) -> None:
    data = made(save(waves()), batch_size=6)
    loader, whole = data.train_dataloader(), data.part("train")
    batches = list(loader)
    for batch in batches:
        steps = int(batch["lengths"].max())
        assert batch["x"].shape[2] == steps
        places = [whole["row"].tolist().index(row) for row in batch["row"].tolist()]
        assert torch.equal(batch["x"], whole["x"][places][..., :steps])
    assert len({batch["x"].shape[2] for batch in batches}) > 1
    ranks = []
    for rank in (0, 1):
        loader = data.train_dataloader()
        loader.rank, loader.world_size = rank, 2
        ranks.append(list(loader))
    for batch, first, second in zip(batches, *ranks, strict=True):
        assert first["x"].shape[2] == second["x"].shape[2] == batch["x"].shape[2]
        assert torch.equal(torch.stack([first["x"], second["x"]], dim=1).flatten(0, 1), batch["x"])
    resumed = data.train_dataloader()
    resumed.load_state_dict({"seed": loader.seed, "epoch": 0, "consumed": 3})
    assert [batch["row"].tolist() for batch in resumed] == [batch["row"].tolist() for batch in batches[3:]]


def test_a_model_of_the_facts_takes_a_batch(save: Save) -> None:
    data = made(save(waves()), batch_size=5)
    model = LitCNN(task=data.task, modality="series", input_shape=data.input_shape, num_outputs=3, channels=(8,))
    batch = next(iter(data.test_dataloader()))
    assert model(batch["x"], lengths=batch["lengths"]).shape == (9, 3)
