"""``evenhand.fit``: what the command does, as a function."""

import os
import random
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
import yaml
from people_table import people
from tiny_package import LitOwn, Tiny
from wave_series import waves

import evenhand
from datamodules import DataError, Digits, ImageData
from evenhand import Run
from evenhand.api import training
from experiments.__main__ import main
from experiments.cli.fit_parser import load_data
from lit_models import ConfigError, LitMLP


def table(seed: int = 0) -> polars.DataFrame:
    return people(seed=seed).drop("id")


QUICK = {"trainer.max_epochs": 2, "model.hidden": (8,), "figures": False}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_the_run_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = evenhand.fit(table(), LitMLP, target="label", seeds=[7], settings=QUICK)
    printed = capfd.readouterr().out
    (file,) = Path("runs/data").iterdir()
    words = f"fit --data TableData --data.path {file} --data.target label --model LitMLP --model.hidden [8]"
    main(f"{words} --trainer.max_epochs 2 --figures false --seed_everything 7 --run typed".split())
    typed = Run(Path("runs/tabledata/typed"))
    assert run.predictions.equals(typed.predictions)
    assert (run.metrics, len(run.metrics)) == (typed.metrics, 6)
    assert [line.split()[0] for line in printed.splitlines()] == [
        line.split()[0].replace("typed", run.path.name) for line in capfd.readouterr().out.splitlines()
    ]
    assert (run.path / "config.yaml").read_text() == (typed.path / "config.yaml").read_text()
    assert run.record["command"].startswith("evenhand fit --trainer.max_epochs 2 --model.hidden '[8]' --figures false")


def test_several_seeds_give_runs_with_metrics_predictions_and_predictors(capfd: pytest.CaptureFixture[str]) -> None:
    runs = evenhand.fit(table(), "LitMLP", target="label", seeds=2, settings=QUICK, quiet=True)
    assert capfd.readouterr().out == ""
    assert runs.metrics["seed"].to_list() == [0, 1]
    assert runs.metrics["accuracy"].to_list() == [run.metrics["accuracy"] for run in runs]
    assert runs[1].path.name in runs._repr_html_()
    kept = polars.read_parquet(runs[0].path / "split.parquet").filter(part="test")
    by_test, loaded = runs[0].predictions, evenhand.load(runs[0])
    again = loaded.predict(table().drop("label")[kept["row"].to_list()])
    assert numpy.allclose(again["probability_yes"], by_test["prediction"], atol=1e-6)
    assert runs[0].load().predict(table()).equals(loaded.predict(table()))
    assert evenhand.compare(runs).frame["n"].to_list() == [2]


def test_the_process_is_afterwards_as_it_was_before() -> None:
    def state() -> list[Any]:
        filters, variables = list(warnings.filters), dict(os.environ)
        return [random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist(), filters, variables]

    before = state()
    evenhand.fit(Tiny, LitOwn, seeds=[3], settings={"trainer.fast_dev_run": True}, quiet=True)
    assert state() == before
    with pytest.raises(DataError):
        evenhand.fit(table(), target="lable", quiet=True)
    assert state() == before


def test_classes_of_a_user_need_no_trust_and_are_predicted_with() -> None:
    (run,) = evenhand.fit(Tiny, LitOwn, seeds=1, settings={"trainer.max_epochs": 1, "figures": False}, quiet=True)
    assert run.record["model"] == "LitOwn"
    assert len(run.load().predict(numpy.zeros((3, 4), dtype=numpy.float32))) == 3
    with pytest.raises(ConfigError, match="tiny_package"):
        evenhand.load(run)
    assert evenhand.load(run, trust=["tiny_package"])  # the package of a class that was trusted alone


def words_of(*arguments: Any, **options: Any) -> list[str]:
    """Returns the command that ``evenhand.fit`` would run."""
    found: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "perform", lambda words, function: found.append(words))
        with pytest.raises(IndexError):  # nothing was trained
            evenhand.fit(*arguments, **options)
    return found[0]


class Series:
    """Column with the interface of a Series of pandas."""

    iloc, index, dtype = None, (), numpy.dtype("int64")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.arange(60) % 3


NUMBERS = numpy.random.default_rng(0).normal(size=(60, 3))
ARRAYS: dict[str, tuple[Any, Any, Any, str]] = {
    "lists": (NUMBERS.tolist(), [*range(3)] * 20, None, "TableData multiclass"),
    "texts as classes": (NUMBERS, numpy.array(["no", "yes"] * 30, dtype=object), None, "TableData binary"),
    "several targets": (torch.tensor(NUMBERS), torch.linspace(0, 1, 120).view(60, 2), None, "TableData regression"),
    "frame and column": (table()[:60], polars.Series(range(60)), "size", "TableData regression"),
    "frame and column of pandas": (table()[:60], Series(), None, "TableData multiclass"),
    "grey images": (NUMBERS[:, :1, None].astype(numpy.uint8), numpy.arange(60) % 3, None, "ImageData multiclass"),
    "images": (numpy.linspace(0, 1, 60 * 108).reshape(60, 6, 6, 3), numpy.arange(60) % 3, None, "ImageData multiclass"),
    "series": (waves()["x"], numpy.arange(60) % 3, None, "SeriesData multiclass"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_inputs_and_targets_are_a_table_series_or_images(kind: str) -> None:
    x, y, target, expected = ARRAYS[kind]
    _, data = load_data(words_of((x, y), target=target))
    assert f"{type(data).__name__} {data.task}" == expected
    assert sum(data.part_rows().values()) == 60


def test_the_same_frame_is_one_file() -> None:
    for frame in (table(), table(), table(seed=1), table().to_dict(as_series=False)):
        words_of(frame, target="label")
    assert len(list(Path("runs/data").iterdir())) == 2
    words = words_of(table(), settings={"trainer.default_root_dir": Path("other")})
    (file,) = Path("other/runs/data").iterdir()
    assert words[-2:] == ["--data.path", str(file)]
    assert polars.read_parquet(file).equals(table())


def test_paths_names_and_settings_become_words() -> None:
    Path("Digits").mkdir()
    Path("photos").mkdir()
    commands = [
        (words_of("my.csv", target="label"), "--data TableData --data.path my.csv --data.target label"),
        (words_of("Digits", LitMLP, seeds=[3]), "--data Digits --model lit_models.LitMLP --seed_everything 3"),
        (words_of("photos", settings={"data": ImageData}), "--data datamodules.ImageData --data.path photos"),
    ]
    for words, command in commands:
        assert words == ["fit", *command.split()]
    settings = {
        "config": ["a.yaml", "b.yaml"],
        "model.hidden": (8, 16),
        "model.dropout": numpy.float32(0.5),
        "model.optimizer": torch.optim.SGD,
        "data.drop": ["a, b", "1"],
        "trainer.callbacks+": "EarlyStopping",
        "model.schedule": None,
        "model.compile": True,
        "model.optimizer.lr": 1e-05,
    }
    words = words_of(settings=settings, trust=["my_package"])
    pairs = dict(zip(words[5::2], words[6::2], strict=True))
    assert words[:5] == ["fit", "--config", "a.yaml", "--config", "b.yaml"]
    assert yaml.safe_load(pairs.pop("--data.drop")) == ["a, b", "1"]
    assert pairs == {
        "--model.hidden": "[8, 16]",
        "--model.dropout": "0.5",
        "--model.optimizer": "torch.optim.SGD",
        "--trainer.callbacks+": "EarlyStopping",
        "--model.schedule": "null",
        "--model.compile": "true",
        "--model.optimizer.lr": "1.0e-05",
        "--trust": "my_package",
    }


def test_ctrl_c_is_a_keyboard_interrupt_and_the_run_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"trainer.max_epochs": 3, "figures": False, "run": "night", "data.batch_size": 16}
    with monkeypatch.context() as patch:
        stop = lambda model: os.kill(os.getpid(), signal.SIGINT) if model.current_epoch == 1 else None  # noqa: E731
        patch.setattr(LitMLP, "on_train_epoch_start", stop)
        with pytest.raises(KeyboardInterrupt):
            evenhand.fit(table(), LitMLP, target="label", settings=settings, quiet=True)
    record = Run(Path("runs/tabledata/night")).record
    assert record["status"] == "interrupted"
    assert record["seconds"] > 0
    (run,) = evenhand.fit(table(), LitMLP, target="label", settings=settings, quiet=True)
    assert (run.record["status"], run.path) == ("finished", Path("runs/tabledata/night"))


LOCAL = type("Local", (LitMLP,), {"__module__": "__main__"})

MISUSES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "--data, --model is missing"),
    "no target": ({"data": table()}, "--data.target is missing"),
    "unknown target": ({"data": table(), "target": "lable"}, "there is no such column to use; there are label"),
    "unknown model": ({"data": "Digits", "model": "LitMPL"}, "there is no class 'LitMPL'; nearest: LitMLP"),
    "unknown data": ({"data": "Digitz", "model": "LitMLP"}, "there is no class 'Digitz'; nearest: Digits"),
    "unknown setting": ({"data": "Digits", "settings": {"model.hiden": 3}}, "has no setting 'hiden'"),
    "a folder": ({"data": "photos/"}, "name the class that reads it"),
    "no data": ({"data": 3}, "data is a int; give the name of a data set, a path, a frame, or a pair"),
    "a module": ({"data": Digits()}, "data is a Digits; give the name"),
    "no number": ({"data": (3, 4)}, "data is a int; give"),
    "no seeds": ({"data": "Digits", "seeds": 0}, "seeds is 0, which names no seed"),
    "one run": ({"data": "Digits", "seeds": 2, "settings": {"run": "a"}}, "there are several seeds"),
    "twice": ({"data": "Digits", "seeds": 1, "settings": {"seed_everything": 1}}, "settings has 'seed_everything'"),
    "path twice": ({"data": table(), "settings": {"data.path": "a"}}, "settings has 'data.path'"),
    "too few": ({"data": (numpy.zeros((5, 2)), [1, 2])}, "X has 5 rows and y has 2"),
    "a cube": ({"data": (numpy.zeros((5, 1, 1, 1, 1)), [1] * 5)}, r"X has the shape \(5, 1, 1, 1, 1\)"),
    "ragged": ({"data": ([[1, 2], [3]], [0, 1])}, "X is no array"),
    "same name": ({"data": (table(), table()["label"]), "target": "age"}, "X has a column age as y has"),
    "two names": ({"data": (table(), table()["label"]), "target": ["a", "b"]}, "target has 2 names, and y has 1"),
    "objects": ({"data": polars.DataFrame({"a": [object()]})}, "the frame cannot be written as Parquet"),
    "local class": ({"data": "Digits", "model": LOCAL}, "the class Local is defined in a notebook"),
    "no plain value": ({"data": "Digits", "settings": {"model.lr": object()}}, r"settings\['model.lr'\] is a object"),
    "devices": (
        {"data": "Digits", "settings": {"trainer.devices": 2, "trainer.accelerator": "cpu"}},
        "evenhand.fit trains on one device, and these settings are for 2 processes",
    ),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_one_sentence(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, sentence = MISUSES[name]
    with pytest.raises((ConfigError, DataError), match=sentence) as raised:
        evenhand.fit(**arguments)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""
    assert not list(Path().glob("runs/*/*/record.json"))
