"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from experiments.__main__ import main

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    command
    for language, block in BLOCKS
    for command in block.replace("\\\n", " ").splitlines()
    if not language and re.match(r"evenhand fit (-c experiments|--data MNIST1D)", command)
]


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_as_typed(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    words = [*shlex.split(command)[1:], "--trainer.default_root_dir", str(tmp_path)]
    assert main([*words, "--trainer.max_epochs", "2", "--trainer.limit_train_batches", "3"]) == 0
    assert len(list(tmp_path.glob("runs/mnist1d/*/predictions.parquet"))) == 1


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = next(block for language, block in BLOCKS if language == "python" and "trainer.test" in block)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["trainer"].callback_metrics["test/accuracy"] > 0.3


def test_the_pictures_and_recipes_are_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README) + re.findall(r"experiments/configs/[\w/]+\.yaml", README):
        assert (REPOSITORY / path).exists(), path
