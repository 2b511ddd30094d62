"""Series of a person's own: how they are read, what is learned of them, how they are split, and that they train."""

import contextlib
import datetime
import io
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from hypothesis import given
from hypothesis import strategies as st
from small import QUICK

from datamodules import DataError, SeriesData
from datamodules.array_file import parse
from datamodules.inspection import inspect
from experiments.__main__ import main
from lit_models import LitCNN

NAN = float("nan")
Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes arrays as .npz, a frame as CSV or Parquet, or text, and gives the path."""

    def write(content: dict[str, Any] | polars.DataFrame | str | bytes, name: str = "my.npz") -> str:
        path = tmp_path / name
        if isinstance(content, dict):
            numpy.savez(path, **content)
        elif isinstance(content, polars.DataFrame):
            content.write_parquet(path) if name.endswith("parquet") else content.write_csv(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def made(path: str, **kwargs: Any) -> SeriesData:
    data = SeriesData(path, **kwargs)
    data.setup("fit")
    return data


def waves(count: int = 60, longest: int = 24, seed: int = 0) -> dict[str, numpy.ndarray]:
    """Two channels of noisy waves, unequally long; the class is how fast they go."""
    draw = numpy.random.default_rng(seed)
    y = numpy.arange(count) % 3
    lengths = draw.integers(longest // 2, longest + 1, count)
    time = numpy.arange(longest)
    phase = draw.uniform(0, 6.28, (count, 1, 1)) + numpy.array([0, 1.57])[:, None]
    x = numpy.sin(phase + time * (0.4 + 0.5 * y[:, None, None])) + draw.normal(0, 0.1, (count, 2, longest)) + 3
    return {"x": x, "y": y, "lengths": lengths, "person": numpy.arange(count) // 4, "day": draw.permutation(count)}


def as_long(arrays: dict[str, numpy.ndarray], order: int | None = 0) -> polars.DataFrame:
    """The same in long form, its rows shuffled but for the order in which series appear."""
    rows = []
    for number, (x, length) in enumerate(zip(arrays["x"], arrays["lengths"], strict=True)):
        for step in range(length):
            rest = {name: arrays[name][number] for name in arrays if name not in ("x", "lengths")}
            channels = {f"c{index}": value for index, value in enumerate(x[:, step])}
            rows.append({"who": f"s{number}", "at": step * 0.5, **channels, **rest})
    frame = polars.DataFrame(rows, infer_schema_length=None)
    if order is None:
        return frame
    first = frame.filter(polars.col("at") == 0)
    return polars.concat([first, frame.filter(polars.col("at") > 0).sample(fraction=1, shuffle=True, seed=order)])


def as_ts(arrays: dict[str, numpy.ndarray]) -> str:
    lines = []
    for x, length, y in zip(arrays["x"], arrays["lengths"], arrays["y"], strict=True):
        lines.append(":".join([*(",".join(map(repr, channel[:length].tolist())) for channel in x), str(y)]))
    return "@problemName waves\n@timeStamps false\n@classLabel true 0 1 2\n@data\n" + "\n".join(lines) + "\n"


LONG = {"id": "who", "step": "at", "target": "y"}


# Reading


def test_all_formats_give_the_same_rows(save: Save) -> None:
    arrays = waves()
    padded = arrays | {"x": arrays["x"].copy()}
    for x, length in zip(padded["x"], padded.pop("lengths"), strict=True):
        x[:, length:] = numpy.nan
    long = as_long(arrays)
    every = [
        made(save(arrays)),
        made(save(padded, "padded.npz")),
        made(save(as_ts(arrays), "waves.ts")),
        *(made(save(long, name), **LONG, drop=["person", "day"]) for name in ("long.csv", "long.parquet")),
    ]
    first = every[0]
    assert (first.task, first.modality, first.num_outputs) == ("multiclass", "series", 3)
    assert first.class_names == ("0", "1", "2")
    for x, row, length in zip(arrays["x"], first.rows.x.numpy(), arrays["lengths"], strict=True):
        assert (row[:, :length] == x[:, :length]).all()
        assert not row[:, length:].any()
    for other in every[1:]:
        assert other.fingerprints() == first.fingerprints()
        assert other.input_shape == first.input_shape


def test_one_channel_and_equal_lengths_have_no_lengths(save: Save) -> None:
    x = numpy.random.default_rng(0).integers(-9, 9, (40, 7), dtype=numpy.int16)
    data = made(save({"x": x, "y": numpy.array(["no", "yes"] * 20)}))
    assert (data.input_shape, data.task, data.class_names) == ((1, 7), "binary", ("no", "yes"))
    assert set(data.part("train")) == {"x", "y", "row"}
    assert data.rows.x.dtype == torch.float32


def test_targets_of_every_task(save: Save) -> None:
    draw = numpy.random.default_rng(0)
    x, labels, values = draw.normal(size=(40, 2, 6)), draw.integers(0, 2, (40, 3)), draw.normal(size=40)
    path = save({"x": x, "y": labels, "value": values, "other": values * 2})
    several = made(path)
    assert (several.task, several.num_outputs) == ("multilabel", 3)
    assert several.part("test")["y"].tolist() == labels[several.split.test].tolist()
    two = made(path, target=["value", "other"])
    assert (two.task, two.num_outputs) == ("regression", 2)
    assert two.rows.y[:, 1].tolist() == (values * 2).tolist()
    assert made(save({"x": x, "y": values})).task == "regression"
    assert made(save({"x": x, "y": draw.integers(0, 3, 40)}), task="regression").num_outputs == 1


def test_dates_order_steps_and_truth_values_are_channels(save: Save) -> None:
    start = datetime.datetime(2024, 1, 1)
    rows = [
        {"who": who, "at": start + datetime.timedelta(hours=5 * step), "on": (step + who) % 2 == 0, "note": f"n{step}",
         "y": who % 2}
        for who in range(30) for step in (3, 1, 0, 2)
    ]  # fmt: skip
    data = made(save(polars.DataFrame(rows), "my.csv"), **LONG, duplicates="ignore")
    assert data.rows.x[:2].tolist() == [[[1, 0, 1, 0]], [[0, 1, 0, 1]]]
    assert any(note.startswith("no numbers, and therefore no channels: note of ") for note in data.notes)


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


@pytest.mark.parametrize("form", ["npz", "ts", "long"])
def test_parts_in_files_of_their_own(save: Save, form: str) -> None:
    paths, sizes = {}, {"path": 30, "val_path": 12, "test_path": 18}
    for seed, (part, size) in enumerate(sizes.items()):
        arrays = waves(size, 20 + 4 * seed, seed)
        content = {"npz": arrays, "ts": as_ts(arrays), "long": as_long(arrays)}[form]
        paths[part] = save(content, f"{part}.{'csv' if form == 'long' else form}")
    words = LONG | {"drop": ["person", "day"]} if form == "long" else {}
    data = made(**paths, **words)
    assert [part.tolist() for part in data.split] == [list(range(30)), list(range(30, 42)), list(range(42, 60))]
    assert data.input_shape == (2, waves(30, 20)["lengths"].max())
    last = waves(18, 28, 2)["x"][-1, :, :9]
    assert data.rows.x[-1, :, :9].numpy() == pytest.approx(last)
    del paths["val_path"]
    dealt = made(**paths, **words)
    assert [len(part) for part in dealt.split] == [25, 5, 18]
    with pytest.raises(DataError, match="val_path alone"):
        made(path=paths["path"], val_path=paths["test_path"], **words)


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


def test_fewer_steps_in_a_batch_change_no_result(fit: Fit, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"--data SeriesData --data.path {save(waves())} --data.batch_size 8 --seed_everything 0"
    words += " --model LitCNN --model.dropout 0 --trainer.max_epochs 3"
    trimmed = fit(*words.split())["metrics"]
    monkeypatch.setattr("datamodules.loaders.TensorLoader._longest", lambda *_: None)
    assert fit(*words.split())["metrics"] == pytest.approx(trimmed, rel=1e-4)


# Through the command line

LEARN = ("--model.optimizer.lr", "0.01", "--trainer.max_epochs", "8", "--seed_everything", "0")

MODELS = {
    "LitLinear": "",
    "LitMLP": "--model.hidden [32]",
    "LitCNN": "--model.channels [16,32]",
    "LitRNN": "--model.cell gru --model.hidden 16",
    "LitTransformer": "--model.width 16 --model.heads 2 --model.num_layers 1 --model.convolution 5",
}


@pytest.mark.parametrize("model", MODELS)
def test_every_architecture_learns_generated_series(fit: Fit, save: Save, model: str) -> None:
    words = f"--data SeriesData --data.path {save(waves(240))} --data.batch_size 24 --model {model} {MODELS[model]}"
    record = fit(*words.split(), *LEARN)
    # A linear model cannot tell waves of any phase apart by their speed.
    assert record["metrics"]["test/accuracy"] > {"LitLinear": 0.2, "LitMLP": 0.6}.get(model, 0.9)


@pytest.mark.usefixtures("sktime")
@pytest.mark.parametrize("model", MODELS)
def test_every_architecture_learns_japanese_vowels(fit: Fit, model: str) -> None:
    words = f"--data JapaneseVowels --data.batch_size 32 --model {model} {MODELS[model]}"
    record = fit(*words.split(), *LEARN)
    assert record["rows"]["test"] == 370
    assert record["metrics"]["test/accuracy"] > 0.85


@pytest.mark.parametrize(
    ("y", "words"),
    [("labels", "--model LitRNN --model.hidden 8"), ("values", "--model LitMLP"), ("two", "--model LitCNN")],
)
def test_every_task_and_a_checkpoint_that_tests_alone(
    fit: Fit, save: Save, capfd: pytest.CaptureFixture[str], y: str, words: str
) -> None:
    arrays = waves()
    targets = {"labels": numpy.eye(3, dtype=int)[arrays["y"]], "values": arrays["y"] * 1.5, "two": arrays["y"] > 0}
    path = save(arrays | {"y": targets[y]})
    record = fit("--data", "SeriesData", "--data.path", path, *words.split(), "--trainer.max_epochs", "1")
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    name, wanted = next((name, value) for name, value in record["metrics"].items() if name.startswith("test/"))
    said = next(line for line in capfd.readouterr().out.splitlines() if name in line)
    assert float(said.strip("│ ").split("│")[1]) == pytest.approx(wanted)


def test_settings_of_series_can_be_typed(fit: Fit, save: Save) -> None:
    words = f"--data SeriesData --data.path {save(as_long(waves()), 'my.csv')} --data.target y --data.id who"
    words += " --data.step at --data.drop day --data.group person --data.window 8 --data.stride 4 --model LitLinear"
    record = fit(*words.split(), "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["data.window"] == 8
    again = fit("-c", str(record["path"] / "config.yaml"))
    assert (again["fingerprints"], again["metrics"]) == (record["fingerprints"], record["metrics"])


# Bad input

FRAME = as_long(waves(12, 6), order=None)


def changed(**columns: Any) -> polars.DataFrame:
    return FRAME.with_columns(**columns)


def value_of(word: str) -> Any:
    """A value as the command line understands it."""
    return word.strip("[]").split(",") if word.startswith("[") else int(word) if word.isdecimal() else word


def sentence(path: str, **settings: Any) -> str:
    """What a data module says that must refuse."""
    with pytest.raises(DataError) as raised:
        SeriesData(path, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


FIFTH = polars.int_range(polars.len()) == 5


@pytest.mark.parametrize(
    ("frame", "words", "expected"),
    [
        (FRAME, "--data.id", ["--data.id is missing", "long form"]),
        (FRAME, "--data.step", ["--data.step is missing"]),
        (FRAME, "--data.target", ["--data.target is missing"]),
        (FRAME, "--data.id whom", ["--data.id whom", "who"]),
        (FRAME, "--data.drop at", ["each one once"]),
        (FRAME, "--data.target c1", ["column c1", "not the same in all steps", "'s0'"]),
        (FRAME, "--data.group c1", ["column c1", "not the same in all steps"]),
        (FRAME, "--data.time at", ["different columns"]),
        (FRAME, "--data.group nowhere", ["--data.group nowhere"]),
        (FRAME, "--data.drop [c0,c1,person,day]", ["no column of numbers"]),
        (changed(at=polars.lit(1)), "", ["more than one row", "'s0'", "at 1"]),
        (changed(at=polars.col("who")), "", ["column at", "String"]),
        (changed(at=polars.when(FIFTH).then(None).otherwise("at")), "", ["column at", "missing in row 5"]),
        (changed(who=polars.when(FIFTH).then(None).otherwise("who")), "", ["column who", "missing in row 5"]),
        (changed(c0=polars.when(FIFTH).then(float("inf")).otherwise("c0")), "", ["column c0", "infinite", "row 5"]),
        (changed(y=polars.when(FIFTH).then(9).otherwise("y")), "", ["column y", "not the same"]),
        (changed(y=polars.when(polars.col("who") == "s3").then(None).otherwise("y")), "", ["y is missing in 1 of 12"]),
        (changed(c0=polars.lit(None, dtype=polars.Float64)), "", ["channel c0 has no value"]),
        (FRAME, "--data.stride 3", ["--data.window"]),
        (FRAME, "--data.window 0", ["--data.window", "at least 1"]),
    ],
)  # fmt: skip
def test_bad_long_form_is_one_sentence(save: Save, frame: polars.DataFrame, words: str, expected: list) -> None:
    settings = {"id": "who", "step": "at", "target": "y"}
    given = words.replace("--data.", "").split()
    if len(given) == 1:
        del settings[given[0]]
    settings |= {given[0]: value_of(given[1])} if len(given) == 2 else {}
    said = sentence(save(frame, "my.parquet"), **settings)
    assert all(one in said for one in expected), said


GOOD = waves(12, 6)


@pytest.mark.parametrize(
    ("arrays", "words", "expected"),
    [
        ({"y": GOOD["y"]}, "", ["no array 'x'", "y"]),
        ({"x": GOOD["x"]}, "", ["no array 'y'"]),
        (GOOD | {"x": GOOD["x"][..., None]}, "", ["shape (12, 2, 6, 1)", "(N, C, T)"]),
        (GOOD | {"x": GOOD["x"].astype(str)}, "", ["x of", "<U"]),
        (GOOD | {"x": GOOD["x"][:, :, :0]}, "", ["shape (12, 2, 0)"]),
        (GOOD | {"y": GOOD["y"][:5]}, "", ["y of", "(5,)", "12 series"]),
        (GOOD | {"y": GOOD["y"] * NAN}, "", ["target y is missing"]),
        (GOOD | {"y": numpy.array([None] * 12)}, "", ["Python objects"]),
        (GOOD | {"lengths": GOOD["lengths"] * 0}, "", ["lengths", "0 to 0", "1 to 6"]),
        (GOOD | {"lengths": GOOD["lengths"] * 1.0}, "", ["lengths", "float64"]),
        (GOOD | {"x": GOOD["x"] * numpy.inf}, "", ["infinite", "series 0"]),
        (GOOD | {"wide": GOOD["x"][:, 0]}, "", ["wide of", "(12, 6)"]),
        (GOOD, "--data.target z", ["--data.target z"]),
        (GOOD, "--data.id who", ["--data.id", "leave it out"]),
        (GOOD, "--data.split_column person", ["train, val or test"]),
        (GOOD, "--data.test_path nowhere.npz", ["nowhere.npz cannot be read"]),
    ],
)
def test_bad_arrays_are_one_sentence(save: Save, arrays: dict, words: str, expected: list[str]) -> None:
    given = words.replace("--data.", "").split()
    said = sentence(save(arrays), **(dict([given]) if given else {}))
    assert all(one in said for one in expected), said


@pytest.mark.parametrize(
    ("content", "name", "words", "expected"),
    [
        (GOOD | {"lengths": GOOD["lengths"] * 0}, "my.npz", "", "lengths"),
        (FRAME, "my.csv", "--data.id who --data.step at", "--data.target is missing"),
        ("@timeStamps true\n@data\n(0,1):a\n", "my.ts", "", "has time stamps"),
        (b"PK\x03\x04", "mine", "", "cannot be read as .npz"),
    ],
)
def test_the_command_says_the_same(refused, save: Save, content: Any, name: str, words: str, expected: str) -> None:
    path = save(content, name)
    said = refused("--data", "SeriesData", "--data.path", path, "--model", "LitMLP", *words.split())
    assert said.startswith(("error: " + path, "error: lengths", "error: --data."))
    assert expected in said
    assert len(said.splitlines()) == 1


def test_files_that_do_not_belong_together(save: Save) -> None:
    one = {"x": GOOD["x"][:, :1], "y": GOOD["y"]}
    assert "has the channels 0" in sentence(save(GOOD), test_path=save(one, "one.npz"))
    assert "lacks the column y" in sentence(save(GOOD), test_path=save(as_ts(GOOD), "my.ts"))


@QUICK
@given(st.integers(0, 10**9), st.integers(1, 40))
def test_a_damaged_file_gives_series_or_a_sentence(start: int, length: int) -> None:
    file = io.BytesIO()
    numpy.savez(file, **GOOD)
    whole = file.getvalue()
    start %= len(whole)
    for content in (
        whole[:start] + bytes(byte ^ 0x5A for byte in whole[start : start + length]) + whole[start + length :],
        whole[:start],
    ):
        with contextlib.suppress(DataError):
            assert len(parse(content, "my.npz", []).x)


def test_a_model_of_the_facts_takes_a_batch(save: Save) -> None:
    data = made(save(waves()), batch_size=5)
    model = LitCNN(task=data.task, modality="series", input_shape=data.input_shape, num_outputs=3, channels=(8,))
    batch = next(iter(data.test_dataloader()))
    assert model(batch["x"], lengths=batch["lengths"]).shape == (9, 3)
