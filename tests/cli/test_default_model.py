"""``evenhand fit`` with data and nothing else chooses what to train, says so, and records it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import QUICK, small_data
from user_files import write_all

from experiments.__main__ import main
from experiments.cli.arguments import find_packaged_configs
from experiments.cli.default_model import ARCHITECTURES, CONFIGS, choose

Fit = Callable[..., dict[str, Any]]

OWN = {
    "TableData": ("LitLinear", ["--data.path", "my.csv", "--data.target", "label"]),
    "ImageData": ("LitCNN", ["--data.path", "photos", "--data.size", "[8,8]"]),
    "SeriesData": ("LitCNN", ["--data.path", "NAME_TRAIN.ts", "--data.test_path", "NAME_TEST.ts"]),
    "TextData": ("LitLinear", ["--data.path", "reviews.csv", "--data.text", "review", "--data.target", "stars"]),
}


@pytest.mark.parametrize("data", OWN)
def test_data_alone_are_enough(
    data: str, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    architecture, words = OWN[data]
    record = fit("--data", data, *words, "--trainer.max_epochs", "2")
    assert f"no --model was typed: {architecture} " in capsys.readouterr().out
    config = yaml.safe_load((record["path"] / "config.yaml").read_text())
    assert config["model"]["class_path"].endswith(f".{architecture}")
    assert config["data"]["init_args"]["batch_size"] == 16
    assert config["trainer"]["max_epochs"] == 2  # what is typed wins
    stops = [one["class_path"].rpartition(".")[2] for one in config["trainer"]["callbacks"]]
    assert stops[0] == "EarlyStopping"
    assert config["model"]["init_args"]["schedule"]["warmup"] == 0.1


def test_what_is_typed_wins_over_the_choice(fit: Fit) -> None:
    words = ["--data", "BreastCancer", "--data.batch_size", "50", "--model.dropout", "0.5", "--trainer.max_epochs", "1"]
    config = yaml.safe_load((fit(*words)["path"] / "config.yaml").read_text())
    assert config["data"]["init_args"]["batch_size"] == 50
    assert config["model"]["init_args"]["dropout"] == 0.5


def test_a_small_table_gets_the_linear_model_and_a_large_one_residual_blocks() -> None:
    data = small_data(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    for train, expected in {499: ("LitLinear", None), 500: ("LitResMLP", "quantile")}.items():
        data.part_rows = lambda train=train: {"train": train, "val": 100, "test": 100}
        config = choose(data, "SmallData")[0]
        assert (config["model"]["class_path"], config["data"]["init_args"].get("normalize")) == expected


def test_a_model_that_is_typed_gets_its_own_defaults(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    record = fit("--data", "BreastCancer", "--model", "LitMLP", "--trainer.max_epochs", "1")
    config = yaml.safe_load((record["path"] / "config.yaml").read_text())
    assert config["model"]["init_args"]["schedule"] is None
    assert "no --model" not in capsys.readouterr().out


def test_the_run_goes_on_as_it_was_chosen(fit: Fit, root: Path) -> None:
    first = fit("--data", "BreastCancer", "--run", "own", "--trainer.max_epochs", "1")
    before = (first["path"] / "config.yaml").read_text()
    words = ["--run", "own", "--trainer.max_epochs", "2", "--trainer.default_root_dir", str(root)]
    assert main(["fit", *words, "--figures", "false"]) == 0
    assert (first["path"] / "config.yaml").read_text() == before
    after = yaml.safe_load((first["path"] / "config-2.yaml").read_text())
    assert after["trainer"].pop("max_epochs") == 2
    assert after["model"] == yaml.safe_load(before)["model"]


def test_settings_that_are_wrong_are_told_as_ever(refused: Callable[..., str]) -> None:
    assert "LitLinear has no setting 'dropuot'" in refused("--data", "BreastCancer", "--model.dropuot", "0.5")
    assert "there is no setting trainer.max_epoch" in refused("--data", "BreastCancer", "--trainer.max_epoch", "2")
    assert "cannot be read" in refused("--data", "TableData", "--data.path", "no.csv", "--data.target", "y")


@given(train=st.integers(2, 200_000), val=st.integers(1, 20_000))
@QUICK
def test_every_number_of_rows_gets_a_run_of_some_length(train: int, val: int) -> None:
    data = small_data(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    data.part_rows = lambda: {"train": train, "val": val, "test": 1}
    config = choose(data, "SmallData")[0]
    size, epochs = config["data"]["init_args"]["batch_size"], config["trainer"]["max_epochs"]
    assert size in (16, 32, 64, 128, 256)
    assert size == 16 or size == 256 or train / 80 <= size <= train / 39
    assert 20 <= epochs <= 300
    steps = epochs * max(1, train // size)
    assert steps >= 20
    assert 2000 <= steps <= 4500 or epochs in (20, 300)
    watched = [one["init_args"]["monitor"] for one in config["trainer"]["callbacks"]]
    assert watched == (["val/loss"] * 2 if val < 500 else ["val/loss"])


def test_every_architecture_has_its_file() -> None:
    assert set(ARCHITECTURES.values()) <= {path.stem for path in CONFIGS.glob("*.yaml")}


def test_configurations_are_found_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "experiments/configs/model/mlp.yaml"
    words = find_packaged_configs(
        ["-c", name, f"--config={name}", f"config={name},{name}", "experiments/configs/no.yaml", "--run", "x"]
    )
    there = str(CONFIGS.parent / "model" / "mlp.yaml")
    assert words[:4] == ["-c", there, f"--config={there}", f"config={there},{there}"]
    assert words[4:] == ["experiments/configs/no.yaml", "--run", "x"]
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("one of my own")
    assert find_packaged_configs(["-c", name]) == ["-c", name]
