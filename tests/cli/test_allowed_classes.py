"""An allowed package is not an allowed class: functions, private names and constructors that read are refused."""

import importlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from constructor_scan import classes_of, reached
from hostile_runs import Touch, refusal, train
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy

from experiments import allowed_classes, import_allowlist
from experiments.__main__ import main
from experiments.run.checkpoints.checkpoint_io import CONFIG

FIT = ["fit", "--data", "Digits", "--model", "LitLinear", "--trainer.max_epochs", "1", "--figures", "false"]
LPIPS = "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unpickling(path: Path) -> dict[str, Any]:
    """Lightning's function that loads a checkpoint, as a configuration may call it."""
    torch.save({"state_dict": {}, "z": Touch(), "pytorch-lightning_version": "2.6.0"}, path)
    arguments = {"cls": "lit_models.LitMLP", "checkpoint_path": str(path), "weights_only": False}
    return {"class_path": "lightning.pytorch.core.saving._load_from_checkpoint", "init_args": arguments}


@pytest.mark.parametrize("place", ["optimizer", "scheduler", "loss", "callbacks", "logger", "strategy", "metrics"])
def test_a_function_that_unpickles_is_no_class(here: Path, capfd: pytest.CaptureFixture[str], place: str) -> None:
    spec = unpickling(here / "evil.ckpt")
    model: dict[str, Any] = {"optimizer": {"optimizer": spec}, "scheduler": {"schedule": {"scheduler": spec}}}.get(
        place, {place: {"one": spec} if place == "metrics" else spec}
    )
    trainer = {place: [spec] if place == "callbacks" else spec}
    in_trainer = place in ("callbacks", "logger", "strategy")
    config = {
        "data": "Digits",
        "model": {"class_path": "LitMLP", "init_args": {} if in_trainer else model},
        "trainer": {"max_epochs": 1, **(trainer if in_trainer else {})},
    }
    (here / "c.yaml").write_text(yaml.safe_dump(config))
    assert "core.saving._load_from_checkpoint: it is not a class" in refusal(capfd, "fit", "-c", "c.yaml")


def test_inside_a_checkpoint(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(here)
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    config = yaml.safe_load(checkpoint[CONFIG])
    config["model"]["init_args"]["optimizer"] = unpickling(here / "evil.ckpt")
    torch.save(checkpoint | {CONFIG: yaml.safe_dump(config)}, here / "hostile.ckpt")
    for verb in ("test", "fit"):
        assert "it is not a class" in refusal(capfd, verb, "--ckpt_path", "hostile.ckpt")


@pytest.mark.parametrize(
    ("option", "path", "reason"),
    [
        ("--model.optimizer", "torch.optim.Optimizer.load_state_dict", "it is not a class"),
        ("--model.optimizer", "torch.optim.adam.adam", "it is not a class"),
        ("--model.loss", "torch.nn.init.zeros_", "it is not a class"),
        ("--model.loss", "lightning.pytorch.LightningModule.load_from_checkpoint", "it is not a class"),
        ("--model.loss", "torchmetrics.functional.image.lpips._LPIPS", "its name is private"),
        ("--model.loss", "torch.nn.utils.rnn.PackedSequence", "it is no optimizer"),
        ("--trainer.callbacks", "lightning.pytorch.Trainer", "it is no optimizer"),
        ("--model.loss", LPIPS, "it unpickles a network"),
    ],
)
def test_what_an_allowed_package_holds_besides(
    capfd: pytest.CaptureFixture[str], option: str, path: str, reason: str
) -> None:
    message = refusal(capfd, *FIT, option, path)
    assert reason in message
    assert "--trust" in message


def test_a_class_of_another_argument_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    for option, path in (("--model.optimizer", "torch.nn.Linear"), ("--trainer.callbacks", "torch.optim.SGD")):
        assert option.partition(".")[0].strip("-") in refusal(capfd, *FIT, option, path)


def test_trust_names_one_class_too(capfd: pytest.CaptureFixture[str]) -> None:
    """The error is now torchmetrics' own, that torchvision is not installed; or the constructor runs."""
    assert "so that a configuration may not name it" not in refusal(
        capfd, *FIT, "--trust", LPIPS, "--model.loss", LPIPS
    )


def test_classes_that_arguments_name_are_allowed() -> None:
    words = [
        *("--model.optimizer", "torch.optim.RMSprop"),
        *("--model.schedule.scheduler", "torch.optim.lr_scheduler.StepLR"),
    ]
    words += ["--model.schedule.scheduler.step_size", "1", "--model.loss", "torch.nn.MultiMarginLoss"]
    words += ["--trainer.callbacks+", "lightning.pytorch.callbacks.EMAWeightAveraging", "--trainer.profiler", "simple"]
    words += ["--trainer.logger", "lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir", "csv"]
    assert main([*FIT, *words]) == 0


def test_trust_ends_with_its_command(capfd: pytest.CaptureFixture[str]) -> None:
    """A class that is allowed without it stays allowed."""
    main([*FIT, "--trust", "torch.optim.SGD", "--model.optimizer", "torch.optim.SGD"])
    main([*FIT, "--model.optimizer", "torch.optim.SGD"])
    callback = "lightning.pytorch.cli.SaveConfigCallback"
    with pytest.raises(SystemExit):
        main([*FIT, "--trust", callback, "--trainer.callbacks", "nowhere.Callback"])
    assert "--trust" in refusal(capfd, *FIT, "--trainer.callbacks", callback)


def test_functions_that_are_defaults_are_allowed(capfd: pytest.CaptureFixture[str]) -> None:
    """A run's own config.yaml names them."""
    for made in classes_of(import_allowlist.ALLOWED, allowed_classes.bases()):
        for parameter in inspect.signature(made.__init__).parameters.values():
            if inspect.isroutine(parameter.default):
                assert allowed_classes.refusal(parameter.default) is None, (made, parameter)
    callback = {"class_path": "BackboneFinetuning", "init_args": {"lambda_func": allowed_classes.FUNCTIONS[0]}}
    with pytest.raises(SystemExit) as stopped:
        main([*FIT, "--trainer.callbacks", json.dumps([callback]), "--print_config"])
    assert stopped.value.code == 0
    assert f"lambda_func: {allowed_classes.FUNCTIONS[0]}" in capfd.readouterr().out


def test_constructors_of_the_installed_versions() -> None:
    """Every class that a configuration may name is made without reading a file, unpickling or a download."""
    packages = [*{*import_allowlist.ALLOWED} - {"datamodules", "experiments", "lit_models"}]
    bases = allowed_classes.bases()
    classes = [made for made in classes_of(packages, bases) if not issubclass(made, Logger | Strategy)]
    public = [made for made in classes if not made.__qualname__.startswith("_")]
    assert len(public) > 400
    chains = {f"{made.__module__}.{made.__qualname__}": reached(made) for made in public}
    found = {path: " > ".join(chain) for path, chain in chains.items() if chain}
    assert {path: chain for path, chain in found.items() if path not in allowed_classes.READING} == {}
    assert len(found) >= 13  # so that a search which finds nothing any more is noticed


def test_the_written_list_names_classes_that_are_there() -> None:
    for path in allowed_classes.READING:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)


def test_the_search_finds_each_kind() -> None:
    class Reads(torch.nn.Module):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.inner(path)

        def inner(self, path: str) -> None:
            torch.load(path)

    class Runs(torch.nn.Module):
        def __init__(self) -> None:
            os.system("true")

    class Quiet(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(1, 1)

    for made in (Reads, Runs):
        made.__module__ = "torch.nn"
        for function in vars(made).values():
            if callable(function):
                function.__module__ = "torch.nn"  # that of a package which is followed
    assert reached(Reads)[-1] == "torch.load"
    assert reached(Runs)[-1] == "os.system"
    assert reached(Quiet) == []
