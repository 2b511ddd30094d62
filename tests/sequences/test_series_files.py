"""The files that series come in: read alike whatever the form, or refused in one sentence."""

import contextlib
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK, writer
from wave_series import LONG, as_long, as_ts, made, waves

from datamodules import DataError, SeriesData
from datamodules.sequences.array_file import parse

NAN = float("nan")
Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.npz")


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


def test_columns_of_texts_are_no_channels_and_named(save: Save) -> None:
    """Also those that are constant within a series, and with the reason why they are no numbers."""
    rows = [
        {"who": who, "at": f"0{1 + step}/01/2024", "x": float(who * step), "sex": "mf"[who % 2], "kg": f"{step},5",
         "y": who % 3 % 2}
        for who in range(30) for step in range(4)
    ]  # fmt: skip
    data = made(save(polars.DataFrame(rows), "my.csv"), **LONG, duplicates="ignore")
    (unused,) = [note for note in data.notes if note.startswith("no numbers")]
    assert unused.startswith("no numbers, and therefore no channels: sex, kg of ")
    assert any(
        note.startswith("column kg is categorical, though nearly all its values are numbers") for note in data.notes
    )
    assert any(note.startswith("column at is read day first, 01/01/2024 as 1 January 2024") for note in data.notes)


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


# Bad input

FRAME = as_long(waves(12, 6), order=None)


def changed(**columns: Any) -> polars.DataFrame:
    return FRAME.with_columns(**columns)


def value_of(word: str) -> Any:
    """A value as the command line understands it."""
    return word.strip("[]").split(",") if word.startswith("[") else int(word) if word.isdecimal() else word


def sentence(path: str, **settings: Any) -> str:
    """Returns the error message of a data module that must refuse."""
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
    message = sentence(save(frame, "my.parquet"), **settings)
    assert all(one in message for one in expected), message


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
    message = sentence(save(arrays), **(dict([given]) if given else {}))
    assert all(one in message for one in expected), message


@pytest.mark.parametrize(
    ("content", "name", "words", "expected"),
    [
        (GOOD | {"lengths": GOOD["lengths"] * 0}, "my.npz", "", "lengths"),
        (FRAME, "my.csv", "--data.id who --data.step at", "--data.target is missing"),
        ("@timeStamps true\n@data\n(0,1):a\n", "my.ts", "", "has time stamps"),
        (b"PK\x03\x04", "mine", "", "cannot be read as numpy arrays"),
    ],
)
def test_the_command_says_the_same(refused, save: Save, content: Any, name: str, words: str, expected: str) -> None:
    path = save(content, name)
    message = refused("--data", "SeriesData", "--data.path", path, "--model", "LitMLP", *words.split())
    assert message.startswith(("error: " + path, "error: lengths", "error: --data."))
    assert expected in message
    assert len(message.splitlines()) == 1


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
