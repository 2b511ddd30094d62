"""``load("runs/...").predict(rows)``: what Python holds, without a file."""

import shutil
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from conftest import Fit
from digit_images import digits, write_npz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opinion_texts import opinions
from people_table import people
from tiny_data import QUICK
from wave_series import waves

from datamodules import DataError
from experiments.inference.predict_file import predict_file
from experiments.inference.predictor import Predictor, load
from lit_models import ConfigError

QUICKLY = ("--model", "LitMLP", "--model.hidden", "[8]", "--trainer.max_epochs", "1", "--seed_everything", "0")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    from experiments.__main__ import main

    root = tmp_path_factory.mktemp("table")
    people(rows=200).write_csv(root / "my.csv")
    words = f"--data TableData --data.path {root}/my.csv --data.target label --data.drop id --figures false"
    main(["fit", *words.split(), *QUICKLY, "--trainer.default_root_dir", str(root), "--run", "a"])
    return load(root / "runs" / "tabledata" / "a")


def test_a_frame_a_dictionary_and_a_file_give_the_same(table: Predictor, tmp_path: Path) -> None:
    frame = people(30, seed=2)
    frame.write_csv(tmp_path / "new.csv")
    want = table.predict(str(tmp_path / "new.csv"))
    assert want.columns == ["row", "prediction", "probability_no", "probability_yes"]
    columns = frame.to_dict(as_series=False)
    for source in (frame, columns):
        assert numpy.allclose(table.predict(source)["probability_yes"], want["probability_yes"], atol=1e-6)
    assert (want["probability_yes"] + want["probability_no"] - 1).abs().max() < 1e-12


def test_a_row_is_predicted_alone_as_among_others(table: Predictor) -> None:
    frame = people(30, seed=2)
    whole = table.predict(frame)["probability_yes"]
    alone = [table.predict(frame[[row]])["probability_yes"][0] for row in range(5)]
    assert numpy.allclose(alone, whole[:5], atol=1e-6)


def test_a_bad_row_is_named(table: Predictor) -> None:
    frame = people(5).with_columns(income=polars.Series([1.0, 2.0, float("inf"), 3.0, 4.0]))
    with pytest.raises(DataError, match="row 2 cannot be predicted: column income is 'inf', which is not finite"):
        table.predict(frame)
    with pytest.raises(DataError, match="no row"):
        table.predict(frame[:0])


@pytest.mark.parametrize(
    ("column", "same"),
    [
        ("member", [["true", "True", "TRUE"], [True] * 3]),
        ("age", [["50", "50.0", "5e1"], [50.0] * 3]),
        ("joined", [["2020-05-05"] * 3, ["2020-05-05 00:00:00"] * 3]),
    ],
)
def test_a_value_is_what_it_was_in_training_however_it_is_written(table: Predictor, column: str, same: Any) -> None:
    frame = people(3, seed=2)
    one, other = (frame.with_columns(polars.Series(column, values)) for values in same)
    assert table.predict(one)["probability_yes"].equals(table.predict(other)["probability_yes"])


def test_series_texts_and_images_from_memory(fit: Fit, tmp_path: Path) -> None:
    arrays = waves()
    numpy.savez(tmp_path / "s.npz", **arrays)
    series = load(fit("--data", "SeriesData", "--data.path", str(tmp_path / "s.npz"), *QUICKLY)["path"])
    as_list = [x[:, :length] for x, length in zip(arrays["x"], arrays["lengths"], strict=True)]
    want = series.predict(tmp_path / "s.npz").drop("prediction")
    assert numpy.allclose(series.predict(as_list).drop("prediction"), want, atol=1e-6)
    with pytest.raises(DataError, match="has 1 channels, and the model was trained on 2: 0, 1"):
        series.predict(arrays["x"][:, :1])
    with pytest.raises(DataError, match="row 1 cannot be predicted: it has no value"):
        series.predict([as_list[0], as_list[1] * numpy.nan])

    frame = opinions()
    frame.write_csv(tmp_path / "t.csv")
    words = ("--data.path", str(tmp_path / "t.csv"), "--data.text", "text", "--data.target", "label")
    texts = load(fit("--data", "TextData", *words, *QUICKLY)["path"])
    want = texts.predict(frame).drop("prediction")
    assert texts.predict(frame["text"].to_list()).drop("prediction").equals(want)
    with pytest.raises(DataError, match="row 1 cannot be predicted: not a text"):
        texts.predict(["lovely", 3])

    x, y = digits()
    path = write_npz(tmp_path / "i.npz", x, y)
    images = load(fit("--data", "ImageData", "--data.path", path, *QUICKLY)["path"])
    assert images.predict(x).equals(images.predict(x / 255.0))
    with pytest.raises(DataError, match="shape"):
        images.predict(numpy.zeros((3, 4)))


def test_rows_of_a_data_module_of_ones_own(fit: Fit, tmp_path: Path) -> None:
    record = fit("--data", "Tiny", *QUICKLY, "--model.class_weights", "true")
    tiny = load(record["path"], packages=["tiny_package"])
    recorded = polars.read_parquet(record["path"] / "predictions.parquet")
    x = torch.linspace(-1, 1, 60).unsqueeze(1) * torch.tensor([[1.0, 2.0, -1.0, 0.5]])
    got = tiny.predict(x[recorded["row"].to_list()].numpy())
    assert got.columns == ["row", "prediction", "probability_low", "probability_middle", "probability_high"]
    assert numpy.allclose(got[:, 2:], recorded[:, 2:], atol=1e-6)
    with pytest.raises(DataError, match="trained on rows of shape"):
        tiny.predict(numpy.zeros((3, 5)))


def test_what_is_no_run_is_refused(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        load(tmp_path / "nothing.ckpt")
    with pytest.raises(ConfigError, match=r"without checkpoints/best\.ckpt"):
        load(tmp_path)
    best = fit("--data", "Tiny", *QUICKLY)["path"] / "checkpoints" / "best.ckpt"
    whole = torch.load(best, weights_only=True)
    for key in ("evenhand_config", "hyper_parameters", "state_dict", "Tiny"):
        torch.save({name: value for name, value in whole.items() if name != key}, tmp_path / "less.ckpt")
        with pytest.raises(ConfigError, match=r"less\.ckpt cannot be predicted with"):
            load(tmp_path / "less.ckpt")
    named = whole["evenhand_config"].replace("lit_models.LitMLP", "os.system")
    torch.save(whole | {"evenhand_config": named}, tmp_path / "other.ckpt")
    with pytest.raises(ConfigError, match="not allowed"):
        load(tmp_path / "other.ckpt")


CELLS = st.one_of(
    st.sampled_from(
        [
            "",
            "1",
            "nan",
            "inf",
            "-1e400",
            '"',
            '""',
            "2020-01-01",
            "0000-00-00",
            "99999-12-31T25:61",
            "true",
            "Rome",
            ",",
            "\n",
            "\r\n",
            "é",
        ]
    ),
    st.text(max_size=5),
)


@settings(QUICK, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=6).map(",".join), max_size=6), raw=st.binary(max_size=8))
def test_any_table_is_predicted_or_refused_in_a_sentence(
    table: Predictor, tmp_path: Path, rows: list[str], raw: bytes
) -> None:
    text = "\n".join(["age,city,member,joined,income", *rows]).encode() + raw
    path, output = tmp_path / "fuzzed.csv", tmp_path / "out.parquet"
    path.write_bytes(text)
    for one in (output, tmp_path / "out.bad.parquet"):
        one.unlink(missing_ok=True)
    refused = ""
    try:
        predict_file(table, str(path), output)
    except DataError as error:
        refused = str(error)
    assert len(refused.splitlines()) == (0 if output.exists() else 1)
    if not refused:
        got = polars.read_parquet(output)
        bad = [] if not (tmp_path / "out.bad.parquet").exists() else polars.read_parquet(tmp_path / "out.bad.parquet")
        assert sorted([*got["row"], *(bad["row"] if len(bad) else [])]) == list(range(len(got) + len(bad)))
        assert got["probability_yes"].is_between(0, 1).all()


def test_nothing_of_the_run_but_its_checkpoint_is_read(fit: Fit, tmp_path: Path) -> None:
    record = fit("--data", "Tiny", *QUICKLY)
    alone = shutil.copy(record["path"] / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    shutil.rmtree(record["path"])
    assert len(load(alone, packages=["tiny_package"]).predict(numpy.zeros((3, 4)))) == 3
