"""Configurations of runs of an earlier version, which lack settings of today, mean what they meant."""

import json
import shutil
from pathlib import Path

import yaml
from conftest import Fit
from people_table import people
from tiny_data import writer

from experiments.compare.argument_defaults import with_defaults
from experiments.compare.load_runs import read_runs
from experiments.earlier_settings import completed, is_whole


def test_a_configuration_of_a_run_repeats_it_without_what_its_version_did_not_have(fit: Fit, tmp_path: Path) -> None:
    path = writer(tmp_path, "my.csv")(people(300).drop("id"))
    words = f"--data TableData --data.path {path} --data.target label --model LitLinear --trainer.max_epochs 2"
    typed = "--data.missing_columns false --model.one_hot 0 --seed_everything 1"
    first = fit(*words.split(), *typed.split())
    config = yaml.safe_load((first["path"] / "config.yaml").read_text())
    assert is_whole(config)
    del config["data"]["init_args"]["missing_columns"], config["model"]["init_args"]["one_hot"]
    (tmp_path / "earlier.yaml").write_text(yaml.safe_dump(config))
    again = fit("-c", str(tmp_path / "earlier.yaml"))
    assert again["metrics"] == first["metrics"]
    assert again["hyperparameters"]["data.missing_columns"] is False
    today = fit(*words.split(), "--seed_everything", "1")
    assert today["parameters"] != first["parameters"]


def test_compare_counts_an_earlier_run_with_those_that_did_the_same(fit: Fit, tmp_path: Path) -> None:
    path = writer(tmp_path, "my.csv")(people(300).drop("id"))
    words = f"--data TableData --data.path {path} --data.target label --model LitLinear --trainer.max_epochs 1"
    without, today = (
        fit(*words.split(), "--seed_everything", "1", "--data.missing_columns", missing, "--run", missing)["path"]
        for missing in ("false", "true")
    )
    earlier = shutil.copytree(without, without.with_name("earlier"))
    for name, read, written in (("record.json", json.loads, json.dumps), ("config.yaml", yaml.safe_load, yaml.dump)):
        content = read((earlier / name).read_text())
        options = content["hyperparameters"] if name == "record.json" else content["data"]["init_args"]
        del options["data.missing_columns" if name == "record.json" else "missing_columns"]
        (earlier / name).write_text(written(content))
    runs, left = read_runs([without, today, earlier])
    assert left == []
    found = {run.path.name: run.configuration for run in with_defaults(runs)}
    assert found["earlier"] == found["false"] != found["true"]


def test_other_data_and_recipes_are_left_as_they_are() -> None:
    digits = {"trainer": {}, "data": {"class_path": "datamodules.Digits", "init_args": {"batch_size": 3}}}
    assert completed(digits) == digits
    assert completed({"data": "Digits"}) == {"data": "Digits"}
    typed = {"data": {"class_path": "x", "init_args": {"types": None, "missing_columns": True}}}
    assert completed(typed) == typed
    assert not is_whole({"trainer": {"max_epochs": 3}, "data": {}})
    assert not any(map(is_whole, (None, [], "text", {"trainer": [1]})))
