"""What the README and the pages beside it show works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
from own_files import write_all

from experiments.__main__ import main

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()
PAGES = [README, *(path.read_text() for path in sorted((REPOSITORY / "docs").glob("*.md")))]
BLOCKS = [block for page in PAGES for block in re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)]
COMMANDS = [
    command
    for language, block in BLOCKS
    for command in block.replace("\\\n", " ").splitlines()
    if not language and command.startswith("evenhand ")
]
BUNDLED = [one for one in COMMANDS if re.match(r"evenhand fit (-c experiments|--data (MNIST1D|UEA))", one)]
OWN = sorted(
    {
        one
        for one in COMMANDS
        if re.match(r"evenhand (fit|floor|inspect) --data (Table|Image|Series|Text|Streamed)\w+", one)
    }
)
QUICK = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "3"]


def test_there_are_commands_to_try() -> None:
    assert len(BUNDLED) >= 6
    assert {re.search(r"--data (\w+)", one)[1] for one in OWN} >= {"TableData", "ImageData", "SeriesData", "TextData"}


@pytest.mark.parametrize("command", BUNDLED)
def test_a_command_runs_as_typed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name, fixture in {"adult": "widedeep", "UEA": "sktime"}.items():
        if name in command:
            request.getfixturevalue(fixture)
    monkeypatch.chdir(REPOSITORY)
    assert main([*shlex.split(command)[1:], "--trainer.default_root_dir", str(tmp_path), *QUICK]) == 0
    assert len(list(tmp_path.glob("runs/*/*/predictions.parquet"))) == 1


@pytest.mark.parametrize("command", OWN)
def test_a_command_runs_on_files_of_ones_own(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path)
    monkeypatch.chdir(tmp_path)
    verb, *words = shlex.split(command)[1:]
    assert main([verb, *words, *(QUICK if verb == "fit" else [])]) == 0
    if verb == "inspect":
        assert "look: id has another whole number in each row" in capsys.readouterr().out
    else:
        assert list(tmp_path.glob("runs/*/*/predictions.parquet"))


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = next(block for language, block in BLOCKS if language == "python" and "trainer.test" in block)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["trainer"].callback_metrics["test/accuracy"] > 0.3


def test_the_pictures_and_recipes_are_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README) + re.findall(r"experiments/configs/[\w/]+\.yaml", README):
        assert (REPOSITORY / path).exists(), path
    for path in re.findall(r"\]\((docs/[^)#]+)", README):
        assert (REPOSITORY / path).exists(), path
