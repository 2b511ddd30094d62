"""The options that a user types are the options of the run."""

import sys
from itertools import cycle
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Fit
from paths import REPOSITORY

from datamodules.bundled import reviews
from experiments.__main__ import main
from experiments.cli.fit_defaults import FILES
from experiments.cli.fit_parser import fit_parser

CONFIGS = REPOSITORY / "experiments" / "configs"
ONE = ("--trainer.max_epochs", "1")
TINY = ("--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "2", "--data.batch_size", "10")


def hyperparameters(record: dict, *names: str) -> list:
    return [record["hyperparameters"].get(f"model.{name}") for name in names]


def test_the_recipe_runs_as_typed(fit: Fit) -> None:
    record = fit("-c", str(CONFIGS / "recipes/mnist1d/cnn.yaml"), *ONE, "--trainer.limit_train_batches", "5")
    assert (record["model"], record["data"], record["status"]) == ("LitCNN", "MNIST1D", "finished")
    assert record["rows"] == {"train": 3294, "val": 706, "test": 1000}


def test_short_names_also_the_ambiguous_one(fit: Fit) -> None:
    words = (
        "--data MNIST1D --model LitRNN --model.cell gru --model.loss CrossEntropyLoss --model.loss.label_smoothing 0.1"
    )
    words += " --model.optimizer SGD --model.optimizer.lr 0.1 --model.optimizer.momentum 0.9"
    words += " --model.schedule.scheduler ReduceLROnPlateau --model.schedule.scheduler.patience 5"
    words += " --model.schedule.monitor val/loss --trainer.max_epochs 1 --model.hidden 8"
    words += " --trainer.limit_train_batches 3"
    record = fit(*words.split())
    assert hyperparameters(record, "cell", "loss", "loss.label_smoothing") == ["gru", "CrossEntropyLoss", 0.1]
    assert hyperparameters(record, "optimizer", "optimizer.lr", "optimizer.momentum") == ["SGD", 0.1, 0.9]
    assert hyperparameters(record, "schedule.scheduler", "schedule.scheduler.patience") == ["ReduceLROnPlateau", 5]


@pytest.mark.parametrize(
    "words",
    [
        "--model.schedule.scheduler CosineAnnealingLR --model.schedule.interval step --model.schedule.warmup 0.1",
        "--model.schedule.scheduler CosineAnnealingLR --model.schedule.warmup 3",
        "--model.schedule.scheduler OneCycleLR --model.schedule.scheduler.max_lr 0.1",
        "--model.schedule.scheduler StepLR --model.schedule.scheduler.step_size 1",
        "--model.schedule.scheduler torch.optim.lr_scheduler.ReduceLROnPlateau",
    ],
)
def test_schedules_need_no_length(fit: Fit, words: str) -> None:
    assert fit(*TINY, *words.split())["status"] == "finished"


def test_a_changed_class_starts_from_its_own_defaults(fit: Fit, tmp_path: Path) -> None:
    adamw = {"model": {"init_args": {"optimizer": {"class_path": "AdamW", "init_args": {"weight_decay": 0.3}}}}}
    sgd = {"model": {"init_args": {"optimizer": {"class_path": "SGD", "init_args": {"lr": 0.2}}}}}
    for name, content in (("adamw", adamw), ("sgd", sgd)):
        content["model"]["class_path"] = "LitMLP"
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    commands = [
        ["--model.optimizer", "SGD", "--model.optimizer.lr", "0.2"],
        ["-c", str(tmp_path / "adamw.yaml"), "--model.optimizer", "SGD", "--model.optimizer.lr", "0.2"],
        ["-c", str(tmp_path / "adamw.yaml"), "-c", str(tmp_path / "sgd.yaml")],
    ]
    for words in commands:
        assert hyperparameters(fit(*TINY, *words), "optimizer", "optimizer.lr", "optimizer.weight_decay") == [
            "SGD",
            0.2,
            0,
        ]


def test_the_command_line_wins_over_files_wherever_it_stands(fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "data: {class_path: Tiny, init_args: {batch_size: 7}}\nmodel: {class_path: LitLinear}"
    )
    record = fit("--data.batch_size", "9", "-c", str(tmp_path / "c.yaml"), "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["data.batch_size"] == 9


def test_an_argument_typed_ahead_of_its_class_is_kept(fit: Fit) -> None:
    record = fit(*TINY, "--model.optimizer.lr", "0.3", "--model.optimizer", "SGD")
    assert hyperparameters(record, "optimizer", "optimizer.lr") == ["SGD", 0.3]


def test_a_package_of_ones_own(fit: Fit) -> None:
    record = fit(
        "--data", "Tiny", "--model", "LitOwn", "--model.width", "5", "--model.loss", "tiny_package.OwnLoss", *ONE
    )
    assert hyperparameters(record, "width", "loss") == [5, "OwnLoss"]


def test_a_package_that_nobody_trusts_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sly.py").write_text("import pathlib; pathlib.Path('ran').touch()\nclass Loss: pass")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--data", "MNIST1D", "--model", "LitMLP", "--model.loss", "sly.Loss"])
    assert "--trust" in capfd.readouterr().err
    assert "sly" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_runs_without_a_seed_differ_and_can_be_repeated(fit: Fit) -> None:
    first, second = fit(*TINY), fit(*TINY)
    assert first["seed"] != second["seed"]
    again = fit(*TINY, "--seed_everything", str(first["seed"]))
    assert again["metrics"] == first["metrics"]


def test_the_direction_of_a_watched_metric_comes_from_the_metric(fit: Fit) -> None:
    words = "--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor val/accuracy --trainer.max_epochs 8"
    words += " --trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/f1_macro"
    record = fit("--data", "Tiny", "--model", "LitLinear", "--model.optimizer.lr", "0.3", *words.split())
    callbacks = yaml.safe_load((record["path"] / "config.yaml").read_text())["trainer"]["callbacks"]
    assert [callback["init_args"]["mode"] for callback in callbacks] == ["max", "max"]
    (best,) = (path for path in (record["path"] / "checkpoints").iterdir() if path.name != "last.ckpt")
    states = torch.load(best, weights_only=True)["callbacks"]
    (score,) = (state["best_model_score"] for state in states.values() if state.get("monitor") == "val/accuracy")
    assert score == pytest.approx(record["validation"]["accuracy"], abs=0.35)
    assert score >= record["validation"]["accuracy"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/acc", ["'val/acc'", "val/accuracy"]),
        ("--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor acc", ["'acc'", "val/f1_macro"]),
        ("--model.schedule.scheduler ReduceLROnPlateau --model.schedule.monitor loss", ["'loss'", "val/loss"]),
        (
            "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.mode max",
            ["val/loss", "mode"],
        ),
    ],
)
def test_watching_what_nobody_logs_is_refused(refused, words: str, expected: list[str]) -> None:
    output = refused(*TINY, *words.split())
    assert all(word in output for word in expected)


@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
def test_stopping_early_waits_for_a_validation_that_never_comes(fit: Fit, monitor: str) -> None:
    words = f"--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor {monitor} --trainer.max_steps 1"
    assert fit(*TINY, *f"--data.batch_size 8 {words}".split())["epochs"] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--model LitMPL", ["--model LitMPL", "LitMLP"]),
        ("--model.optimzer SGD", ["--model.optimzer SGD", "model.optimizer"]),
        ("--model.optimizer SDG", ["--model.optimizer SDG", "SGD"]),
        ("--model.optimizer.lrr 3", ["--model.optimizer.lrr 3", "model.optimizer.lr"]),
        ("--model.loss CrossEntropyLos", ["--model.loss CrossEntropyLos", "CrossEntropyLoss"]),
        ("--model.schedule.scheduler Plateau", ["--model.schedule.scheduler Plateau", "ReduceLROnPlateau"]),
        ("--model.schedule.schedular StepLR", ["--model.schedule.schedular", "model.schedule.scheduler"]),
        ("--model.dropout much", ["--model.dropout much", "a number"]),
        ("--trainer.max_epoch 3", ["trainer.max_epoch", "trainer.max_epochs"]),
        ("--trainer.max_epochs many", ["--trainer.max_epochs many", "a whole number"]),
        ("--trainr.max_epochs 3", ["trainr.max_epochs", "trainer.max_epochs"]),
        ("--trainer.callbacks+ EarlyStoping", ["EarlyStoping", "EarlyStopping"]),
        (
            "--trainer.callbacks+ GradientAccumulationScheduler --trainer.callbacks.scheduling {0:2}",
            ["--trainer.callbacks.scheduling {0:2}", "names with values"],
        ),
        ("--data.normalize standart", ["--data.normalize standart", "'standard'"]),
        ("--model os.system", ["os.system", "--trust"]),
        ("-c nowhere.yaml", ["nowhere.yaml"]),
    ],
)
def test_a_typo_is_told_with_the_nearest_names(refused, words: str, expected: list[str]) -> None:
    output = refused("--data", "Tiny", "--model", "LitMLP", *words.split())
    assert all(word in output for word in expected), output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--data Tiny --data.ratios [0.7,0.2,0.2]", "sum to 1"),
        ("--data Tiny --data.ratios [0.0,0.5,0.5]", "above 0"),
        ("--data Tiny --data.batch_size 0", "batch_size"),
        ("--data Tiny --model.loss MSELoss", "CrossEntropyLoss"),
        ("--data TinyRegression --model.loss CrossEntropyLoss", "MSELoss"),
        ("--data TinyWithNaN", "row 17"),
        ("--data TinyWrongLabels", "must be 0 to 1"),
        ("--data TinyUnequal", "60 rows of inputs and 50 of targets"),
        ("--data TinyLonelyClass", "class lonely has 1 row"),
        ("--data TinyThreeRows --data.stratify false --data.ratios [0.02,0.49,0.49]", "train part empty"),
        ("--data Tiny --model.optimizer.lr -1", "--model.optimizer.lr must be at least 0 and finite"),
        ("--data Tiny --trainer.accelerator gpu", "gpu"),
        ("--data Tiny --experiment ../up", "--experiment"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_run(refused, words: str, expected: str) -> None:
    if "gpu" in words and torch.cuda.is_available():
        pytest.skip("this machine has the GPU that the test wants to be missing")
    output = refused("--model", "LitMLP", *words.split())
    assert expected in output
    assert len(output.splitlines()) == 1


def test_a_run_of_that_name_is_not_written_over(fit: Fit, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(*TINY, "--run", "one")  # to its end
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="2"):
        fit(*TINY, "--run", "one")
    assert "choose another --run" in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


RECIPES = sorted(CONFIGS.glob("recipes/*/*.yaml"))
TRAINED = {
    *("adult-tabm", "adult-res_mlp", "california-mlp", "fashion_mnist-cnn", "japanese_vowels-transformer"),
    *("mnist1d-lstm", "mnist1d-gru", "reviews-linear"),
}
"""Recipes of each data set and of each architecture, for the quick suite; it parses the others."""


def test_every_recipe_is_a_configuration() -> None:
    others = [path for path in RECIPES if name_of(path) not in TRAINED]
    assert len(others) == len(RECIPES) - len(TRAINED)
    parser = fit_parser()
    for path in others:
        model = yaml.safe_load(path.read_text())["model"]["class_path"]
        assert parser.parse_args(["-c", str(path)]).model.class_path == f"lit_models.{model}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if name_of(path) in TRAINED else pytest.mark.slow, id=name_of(path))
        for path in RECIPES
    ],
)
def test_no_recipe_rots(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    files = {"adult": "widedeep", "california": "widedeep", "reviews": "widedeep", "japanese_vowels": "sktime"}
    files["fashion_mnist"] = "fashion"
    if path.parent.name in files:
        request.getfixturevalue(files[path.parent.name])
    monkeypatch.chdir(tmp_path)
    parse = reviews.parse
    monkeypatch.setattr(reviews, "parse", lambda *arguments: parse(*arguments).head(2000))  # all take ten seconds
    assert main(["fit", "-c", str(path), "--trainer.fast_dev_run", "1"]) == 0
    assert not list(tmp_path.iterdir())


WITH_OPTIMIZER = (set(FILES.values()) | {"gru"}) - {"lightning_module"}  # whose optimizer is its own
MODELS, OPTIMS = sorted(WITH_OPTIMIZER), sorted(CONFIGS.glob("optim/*.yaml"))


PAIRS = [*zip(MODELS, cycle(OPTIMS), strict=False)]


def words_of(model: str, optim: Path) -> list[str]:
    files = (CONFIGS / f"defaults/{model}.yaml", optim, CONFIGS / "trainer/cpu.yaml")
    words = [word for path in files for word in ("-c", str(path))]
    return words + (["--model.network", "torch.nn.Linear"] if model == "module" else [])


def optimizer_in(optim: Path) -> str:
    name: str = yaml.safe_load(optim.read_text())["model"]["init_args"]["optimizer"]["class_path"]
    return name


def test_configs_compose() -> None:
    parser = fit_parser()
    for model, optim in PAIRS:
        config = parser.parse_args(["--data", "Digits", *words_of(model, optim)])
        assert config.model.init_args.optimizer.class_path.rpartition(".")[2] == optimizer_in(optim)
        assert config.trainer.accelerator == "cpu"


@pytest.mark.parametrize(
    ("model", "optim"),
    [pytest.param(*pair, marks=() if number % 3 == 0 else pytest.mark.slow) for number, pair in enumerate(PAIRS)],
)
def test_configs_that_compose_train(fit: Fit, model: str, optim: Path) -> None:
    record = fit("--data", "Tiny", *words_of(model, optim), "--trainer.max_epochs", "1")
    assert record["hyperparameters"]["model.optimizer"] == optimizer_in(optim)
