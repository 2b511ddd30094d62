"""``evenhand fit`` with data and nothing else chooses what to train, says so, and records it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
import yaml
from high_low_table import table, write
from hypothesis import given
from hypothesis import strategies as st
from in_process_sweep import Calls, records
from in_process_sweep import calls as calls
from paths import REPOSITORY
from tiny_data import QUICK, small_data
from user_files import write_all

import lit_models
from experiments.__main__ import main
from experiments.cli.arguments import find_packaged_configs
from experiments.cli.fit_defaults import ARCHITECTURES, CONFIGS, FILES, LARGE, size_and_epochs
from lit_models.stems import STEMS

Fit = Callable[..., dict[str, Any]]


def config_of(path: Path) -> dict[str, Any]:
    """Returns the configuration of a run's folder."""
    config: dict[str, Any] = yaml.safe_load((path / "config.yaml").read_text())
    return config


ONE_EPOCH = ("--trainer.max_epochs", "1")

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


def test_every_architecture_gets_the_same_batches_length_schedule_and_normalization(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", "TableData", "--data.path", write(table(800), tmp_path / "t.csv"), "--data.target", "label"]
    words += ["--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "30", "--test_at_end", "false"]
    words += ["--trainer.max_time", "00:00:00:01"]
    configs = [config_of(fit(*words)["path"])]
    assert (
        "no --model was typed: LitResMLP for 560 train rows (table), numbers quantile-normalized"
        in capsys.readouterr().out
    )
    for model in ("LitMLP", "tiny_package.LitOwn"):
        configs.append(config_of(fit(*words, "--model", model)["path"]))
        assert (
            "chosen for 560 train rows (table): numbers quantile-normalized, batches of 16, at most 86"
            in capsys.readouterr().out
        )
    assert len({repr((config["data"], config["trainer"])) for config in configs}) == 1
    assert len({repr(config["model"]["init_args"]["schedule"]) for config in configs}) == 1


def test_fit_with_and_without_the_model_and_a_sweep_are_one_run(
    fit: Fit, calls: Calls, root: Path, tmp_path: Path
) -> None:
    words = ["--data", "TableData", "--data.path", write(table(800), tmp_path / "t.csv"), "--data.target", "label"]
    words += ["--trainer.limit_train_batches", "4", "--seed_everything", "5", "--trainer.max_epochs", "2"]
    runs = [fit(*words), fit(*words, "--model", "LitResMLP"), fit(*words, "--model", "auto")]
    sweep = ["sweep", *words[:-4], *words[-2:], "--seeds", "5", "--grid", "model=auto,LitResMLP", "--figures", "false"]
    assert main([*sweep, "--experiment", "s", "--trainer.default_root_dir", str(root)]) == 0
    swept = records(root, "s")
    assert len(swept) == 2
    paths = [*(run["path"] for run in runs), *(root / "runs" / "s" / name for name in swept)]
    checkpoints = [torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in paths]
    for other in checkpoints[1:]:
        assert other["state_dict"].keys() == checkpoints[0]["state_dict"].keys()
        assert all(
            torch.equal(value, other["state_dict"][name]) for name, value in checkpoints[0]["state_dict"].items()
        )
    assert len({repr(record["metrics"]) for record in [*runs, *swept.values()]}) == 1


def test_a_typed_scheduler_and_optimizer_bring_none_of_the_chosen_settings(fit: Fit) -> None:
    words = ["--data", "BreastCancer", "--model", "LitMLP", "--trainer.max_epochs", "1"]
    typed = ["--model.optimizer", "SGD", "--model.optimizer.lr", "0.1", "--model.schedule.scheduler", "StepLR"]
    model = config_of(fit(*words, *typed, "--model.schedule.scheduler.step_size", "3")["path"])["model"]["init_args"]
    assert model["optimizer"]["init_args"]["weight_decay"] == 0
    assert (model["schedule"]["interval"], model["schedule"]["warmup"]) == (None, 0)
    constant = config_of(fit(*words, "--model.schedule", "null")["path"])["model"]["init_args"]
    assert constant["schedule"] is None


def test_a_typed_rate_is_that_of_every_step(fit: Fit) -> None:
    words = ["--data", "BreastCancer", "--model", "LitMLP", "--trainer.max_epochs", "2", "--model.optimizer.lr", "0.05"]
    path = fit(*words)["path"]
    assert config_of(path)["model"]["init_args"]["schedule"] is None
    checkpoint = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == 0.05
    schedule = ["--model.schedule.scheduler", "StepLR", "--model.schedule.scheduler.step_size", "3"]
    assert config_of(fit(*words, *schedule)["path"])["model"]["init_args"]["schedule"] is not None


@pytest.mark.parametrize("off", [["barebones", "true"], ["enable_checkpointing", "false"], ["limit_val_batches", "0"]])
def test_nothing_stops_early_where_nothing_is_validated(off: list[str], root: Path) -> None:
    words = ["--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "2", f"--trainer.{off[0]}", off[1]]
    words += ["--trust", "tiny_package", "--figures", "false", "--trainer.default_root_dir", str(root)]
    assert main(["fit", *words]) == 0
    for path in root.glob("runs/*/*"):
        assert config_of(path)["trainer"]["callbacks"] is None


def test_a_class_of_ones_own_keeps_what_its_constructor_says(
    fit: Fit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "tests/run/record")
    record = fit("--data", "test_export_sample_rows.ByClass", "--trust", "test_export_sample_rows", *ONE_EPOCH)
    assert config_of(record["path"])["data"]["init_args"] == {"features": 2, "test_rows": 30, "falling": False}
    assert "batches of" not in capsys.readouterr().out


def test_the_usual_name_of_the_rate_is_answered(refused: Callable[..., str]) -> None:
    assert "model.optimizer.lr" in refused("--data", "BreastCancer", "--learning_rate", "0.1")


def test_a_number_of_steps_is_the_length(fit: Fit) -> None:
    record = fit("--data", "Tiny", "--model", "LitMLP", "--trainer.max_steps", "7")
    assert config_of(record["path"])["trainer"]["max_epochs"] == -1


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


@given(train=st.integers(2, 200_000), side=st.sampled_from([None, 8, 28, 64]))
@QUICK
def test_every_number_of_rows_gets_a_run_of_some_length(train: int, side: int | None) -> None:
    data = small_data(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    if side is not None:
        data.modality, data.input_shape = "image", (1, side, side)
    size, epochs = size_and_epochs(train, data)
    assert size in (16, 32, 64, 128, 256)
    assert size == 16 or size == 256 or train / 80 <= size <= train / 39
    assert 20 <= epochs <= 300
    steps = epochs * max(1, train // size)
    assert steps >= 20
    pixels = train * epochs * (side or 0) ** 2
    assert 2000 <= steps <= 4500 or epochs in (20, 300) or 14e6 < pixels < 16e6


def test_every_architecture_has_its_file() -> None:
    classes = {path: yaml.safe_load(path.read_text())["model"].get("class_path") for path in CONFIGS.glob("*.yaml")}
    assert {name: classes[CONFIGS / f"{file}.yaml"] for name, file in FILES.items()} == {name: name for name in FILES}
    assert (
        set(ARCHITECTURES.values()) | {large for _, large in LARGE.values()}
        <= set(FILES)
        == {name for name in lit_models.__all__ if name[:3] == "Lit"} - {"LitModel"}
    )


def test_a_file_of_a_modality_is_one_of_its_architecture() -> None:
    names = {file: name for name, file in FILES.items()} | {"gru": "LitRNN", "other": None}
    for path in CONFIGS.glob("*.yaml"):
        if path.stem not in names:
            name, modality = path.stem.rsplit("_", 1)
            assert yaml.safe_load(path.read_text())["model"]["class_path"] == names[name]
            assert modality in STEMS


def test_images_have_their_own_settings(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    record = fit("--data", "ImageData", *OWN["ImageData"][1], "--trainer.max_epochs", "1")
    assert config_of(record["path"])["model"]["init_args"]["kernel_size"] == 3


@pytest.mark.parametrize(("rows", "words", "buckets"), [(60, 5, 1024), (60, 6, 1024), (60, 7, 2048), (900, 80, 65536)])
def test_few_texts_have_few_embeddings_of_pairs(fit: Fit, tmp_path: Path, rows: int, words: int, buckets: int) -> None:
    """Of 60 rows, 42 are train rows, and four times their pairs at most are 1,008 with six words."""
    draw = numpy.random.default_rng(0)
    texts = [" ".join(draw.choice(["red", "green", "blue"], words)) for _ in range(rows)]
    polars.DataFrame({"text": texts, "y": ["ab"[row % 2] for row in range(rows)]}).write_csv(tmp_path / "texts.csv")
    of_texts = ("--data", "TextData", "--data.path", str(tmp_path / "texts.csv"), "--data.text", "text")
    record = fit(*of_texts, "--data.target", "y", "--model", "LitLinear", "--trainer.max_epochs", "1")
    assert config_of(record["path"])["model"]["init_args"]["pair_buckets"] == buckets


@pytest.mark.parametrize("model", sorted({*FILES} - {"LitLightningModule", "LitModule"}))  # these have no network
def test_each_architecture_is_light_enough_for_images_of_28_pixels(fit: Fit, tmp_path: Path, model: str) -> None:
    numpy.savez(
        tmp_path / "images.npz", x=numpy.arange(60 * 784, dtype=numpy.uint8).reshape(60, 28, 28), y=numpy.arange(60) % 2
    )
    data = ("--data", "ImageData", "--data.path", str(tmp_path / "images.npz"))
    words = ("--model", model, "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1")
    assert fit(*data, *words)["flops"] < 100e6


def test_configurations_are_found_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "experiments/configs/defaults/mlp.yaml"
    words = find_packaged_configs(
        ["-c", name, f"--config={name}", f"config={name},{name}", "experiments/configs/no.yaml", "--run", "x"]
    )
    there = str(CONFIGS / "mlp.yaml")
    assert words[:4] == ["-c", there, f"--config={there}", f"config={there},{there}"]
    assert words[4:] == ["experiments/configs/no.yaml", "--run", "x"]
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("one of my own")
    assert find_packaged_configs(["-c", name]) == ["-c", name]
