"""A configuration may name classes of ``torch.nn`` and ``torch.optim``, and of no other module of torch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Fit

TINY = ("--data", "Tiny", "--model", "LitLinear", "--trainer.max_epochs", "1")

NOT_ALLOWED = {
    "model": ["torch.ao.quantization.QuantStub", "torch.jit.ScriptModule", "torch.package.PackageImporter"],
    "model.loss": ["torch.ao.quantization.QuantStub", "torch.jit.ScriptModule", "torch.fx.GraphModule"],
    "model.optimizer": ["torch.distributed.optim.ZeroRedundancyOptimizer", "torch.hub.load"],
    "model.schedule.scheduler": ["torch.ao.pruning.LambdaSL"],
    "data": ["torch.utils.data.DataLoader", "torch.load"],
    "trainer.callbacks+": ["torch.utils.data.DataLoader", "torch.utils.cpp_extension.load"],
}


@pytest.mark.parametrize(
    ("option", "name"), [(option, name) for option, names in NOT_ALLOWED.items() for name in names]
)
def test_other_classes_of_torch_are_refused_on_the_command_line(
    refused: Callable[..., str], option: str, name: str
) -> None:
    message = refused(*TINY, f"--{option}", name)
    assert f"{option.rstrip('+')} {name}: only classes of" in message
    assert "--trust" in message


@pytest.mark.parametrize("option", ["model.loss", "model.optimizer"])
def test_other_classes_of_torch_are_refused_in_a_file(refused: Callable[..., str], root: Path, option: str) -> None:
    name = NOT_ALLOWED[option][0]
    group, key = option.split(".")
    (root / "config.yaml").write_text(
        yaml.safe_dump({group: {"class_path": "LitLinear", "init_args": {key: {"class_path": name}}}})
    )
    message = refused("--data", "Tiny", "-c", str(root / "config.yaml"))
    assert name in message
    assert "--trust" in message


def test_the_allowed_parts_of_torch_are_taken(fit: Fit) -> None:
    words = "--model.loss torch.nn.MultiMarginLoss --model.optimizer torch.optim.RMSprop "
    words += "--model.schedule.scheduler torch.optim.lr_scheduler.ExponentialLR --model.schedule.scheduler.gamma 0.9"
    settings = fit(*TINY, *words.split())["hyperparameters"]
    assert settings["model.loss"] == "MultiMarginLoss"
    assert settings["model.optimizer"] == "RMSprop"
    assert settings["model.schedule.scheduler"] == "ExponentialLR"
