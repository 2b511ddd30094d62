"""Numbers that mean nothing are refused in one sentence, before any data are read or anything is written."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import Trainer
from paths import REPOSITORY

import lit_models
from experiments.__main__ import main
from experiments.cli.fit_parser import parse_lines
from experiments.cli.option_ranges import ARGUMENTS, OPTIONS, check_ranges
from experiments.run.record.config_diff import flat
from lit_models import ConfigError

FIT = ["fit", "--data", "Digits", "--model", "LitMLP"]

CHECKED_ELSEWHERE = {
    *("trainer.devices", "trainer.precision", "trainer.plugins", "trainer.max_time"),  # by their own kinds of check
    *("data.batch_size", "data.ratios", "published"),  # by their classes
    *("data.augment.crop", "data.augment.flip", "data.augment.erase"),
    *("model.input_shape", "model.num_outputs", "model.cardinalities", "model.vocab_size"),  # the data decide them
    "model.steps_per_execution",
}
"""Numbers without a range of their own."""

REFUSED = {
    "seed_everything": ("-1", "4294967296"),
    "save_every_n_steps": ("0", "-3"),
    "trainer.max_epochs": ("0", "-2"),
    "trainer.max_steps": ("0",),
    "trainer.min_epochs": ("-1",),
    "trainer.max_time": ("00:00:00:00",),
    "trainer.limit_train_batches": ("0", "0.0", "-1", "1.5", "2.0", ".nan", ".inf"),
    "trainer.limit_val_batches": ("-1", "1.5", ".nan"),
    "trainer.limit_test_batches": ("-0.5",),
    "trainer.overfit_batches": ("-1",),
    "trainer.val_check_interval": ("0", "0.0", "-1", "1.5"),
    "trainer.check_val_every_n_epoch": ("0", "-1"),
    "trainer.num_sanity_val_steps": ("-2",),
    "trainer.log_every_n_steps": ("-1",),
    "trainer.accumulate_grad_batches": ("0", "-1"),
    "trainer.gradient_clip_val": ("-1", ".nan", ".inf"),
    "trainer.num_nodes": ("0",),
    "trainer.reload_dataloaders_every_n_epochs": ("-1",),
    "trainer.fast_dev_run": ("-1",),
    "model.dropout": ("1.0", "1.5", "-0.1", ".nan"),
    "model.input_dropout": ("1.0",),
    "model.hidden": ("[0]", "[8,-1]", f"[{10**30}]"),
    "model.mixup": ("-1", ".nan", ".inf"),
    "model.optimizer.lr": ("-1", ".nan", ".inf"),
    "model.optimizer.weight_decay": ("-1", ".nan"),
    "model.optimizer.betas": ("[1.5,0.9]", "[-1,0.9]"),
    "model.optimizer.eps": ("-1.0",),
}

ACCEPTED = {
    "seed_everything": ("0", "4294967295", "false"),
    "trainer.max_epochs": ("-1", "1"),
    "trainer.limit_train_batches": ("1", "1.0", "0.5", "50"),
    "trainer.limit_val_batches": ("0", "0.0", "1.0"),
    "trainer.val_check_interval": ("0.25", "1.0", "100", "00:00:10:00"),
    "trainer.gradient_clip_val": ("0", "0.5"),
    "trainer.num_sanity_val_steps": ("-1", "0"),
    "trainer.max_time": ("00:00:10:00",),
    "model.dropout": ("0", "0.99"),
    "model.optimizer.lr": ("0", "1e-3"),
    "model.optimizer.betas": ("[0,0.9]",),
}


def lines(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(option, value) for option, values in table.items() for value in values]


def configs(words: list[list[str]]) -> list[str]:
    """Parses command lines as a sweep does before its first run."""
    return parse_lines([["fit", *FIT[1:], "--model.optimizer", "AdamW", *line] for line in words])


@pytest.mark.parametrize(("option", "value"), lines(REFUSED))
def test_a_number_out_of_range(option: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--{option} (must be|is no time)"):
        configs([[f"--{option}", value]])


def test_a_switch_that_is_null(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("trainer: {detect_anomaly: null}")
    with pytest.raises(ConfigError, match=r"^--trainer.detect_anomaly must be true or false"):
        configs([["-c", str(tmp_path / "c.yaml")]])


def test_numbers_in_their_range() -> None:
    """Values of several options in one line: another one for each option in each line, as far as it has more."""
    most = max(map(len, ACCEPTED.values()))
    words = [
        [word for option, values in ACCEPTED.items() for word in (f"--{option}", values[line % len(values)])]
        for line in range(most)
    ]
    assert len(configs(words)) == most == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--seed_everything -1", "--seed_everything must be from 0 to 4294967295, and it is -1"),
        ("--trainer.max_epochs 0", "--trainer.max_epochs must be at least 1"),
        ("--model.optimizer.lr .nan", "--model.optimizer.lr must be at least 0 and finite, and it is nan"),
        (
            "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.patience -1",
            "at l",
        ),
        ("--model.schedule.scheduler StepLR --model.schedule.scheduler.step_size 0", "scheduler.step_size must be at"),
        ("--allow_change nope", "--allow_change nope: there is no such setting"),
        ("--model.hidden [1000000000,1000000000]", "there is not enough memory"),
    ],
)
def test_a_fit_is_refused(refused: Callable[..., str], words: str, sentence: str) -> None:
    message = refused(*FIT[1:], *words.split())
    assert sentence in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("verb", ["inspect", "floor"])
def test_other_verbs_refuse_them_too(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--data", "Digits", "--seed_everything", "-1"])
    assert stopped.value.code == 2
    assert "--seed_everything must be from 0" in capfd.readouterr().err


def test_a_class_of_the_users_decides_itself() -> None:
    settings = {"model": {"class_path": "mine.Net", "init_args": {"dropout": 2, "lr": -1, "hidden": [0]}}}
    check_ranges(settings)
    with pytest.raises(ConfigError, match=r"^--model.dropout must be"):
        check_ranges({"model": settings["model"] | {"class_path": "lit_models.LitMLP"}})


def numeric(function: Any) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if "int" in str(p.annotation) or "float" in str(p.annotation)]


def test_every_number_has_a_range() -> None:
    """Of the Trainer, of the architectures and of the bundled configurations."""
    names = {f"trainer.{name}" for name in numeric(Trainer.__init__)}
    for architecture in (name for name in lit_models.__all__ if name.startswith("Lit")):
        names |= {f"model.{name}" for name in numeric(getattr(lit_models, architecture).__init__)}
    spaces = {*(REPOSITORY / "experiments/configs/spaces").iterdir()}  # of searches, which parse both ends of each
    for path in {*(REPOSITORY / "experiments/configs").rglob("*.yaml")} - spaces:
        values = flat(yaml.safe_load(Path(path).read_text()))
        is_paper = path.parent.name == "papers"
        names |= {
            name.rpartition(".")[2] if is_paper else name
            for name, value in values.items()
            if isinstance(value[0] if isinstance(value, list) and value else value, int | float)
            and not isinstance(value, bool)
        }
    names = {name for name in names if name not in OPTIONS and name.rpartition(".")[2] not in ARGUMENTS}
    short = {name.rpartition(".")[2] for name in {*OPTIONS, *CHECKED_ELSEWHERE}}
    assert {name for name in names - CHECKED_ELSEWHERE if "." in name or name not in short} == set()


@pytest.mark.parametrize("trainer", ["[1]", "3", "null", "[{max_epochs: 2}]"])
@pytest.mark.parametrize("verb", ["fit", "inspect", "floor"])
def test_a_trainer_that_is_no_mapping_is_refused(
    verb: str, trainer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(f"trainer: {trainer}\ndata: Digits\n")
    with pytest.raises(SystemExit):
        main([verb, "-c", str(tmp_path / "c.yaml")])
    assert "in the configuration; write settings below it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "url"), [("fit", "memory://x"), ("fit", "s3://bucket/runs"), ("floor", "file:///tmp/x")]
)
def test_runs_in_a_folder_that_is_a_url_are_refused(
    verb: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Lightning takes them, and the record would go into a local folder of that name."""
    monkeypatch.chdir(tmp_path)
    model = [] if verb == "floor" else ["--model", "LitMLP"]
    with pytest.raises(SystemExit, match="2"):
        main([verb, "--data", "Digits", *model, "--trainer.default_root_dir", url])
    message = capfd.readouterr().err.strip()
    assert message.startswith(f"error: --trainer.default_root_dir {url} is a URL")
    assert len(message.splitlines()) == 1
    assert not any(tmp_path.iterdir())
