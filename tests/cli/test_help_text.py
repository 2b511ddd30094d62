"""``--help`` is short, with an example, without torch, and names the options and classes of the full parser."""

import argparse
import subprocess
import sys
from importlib import import_module

import pytest

import datamodules
import lit_models
from experiments.__main__ import VERBS, main


def help_of(verb: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main([verb, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(verb, capsys)
    assert any(line.startswith(f"  evenhand {verb}") for line in lines)  # a command to copy
    assert len(lines) <= 60


@pytest.mark.parametrize("verb", ["fit", "test", "validate"])
def test_a_page_is_two_screens(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = help_of(verb, capsys)
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 101
    assert f"evenhand {verb} --help-all" in lines[-1]


def test_the_page_names_what_can_be_trained(capsys: pytest.CaptureFixture[str]) -> None:
    words = {word.rstrip(",;") for word in " ".join(help_of("fit", capsys)).split()}
    classes = [getattr(datamodules, name) for name in datamodules.__all__]
    data = {cls.__name__ for cls in classes if isinstance(cls, type) and issubclass(cls, datamodules.DataModule)}
    abstract = {"DataModule", "FrameData", "InMemoryData", "LabelledTexts", "LightningData", "PixelData"}
    abstract |= {"SequenceData", "StreamData"}
    assert data - abstract <= words
    assert not {name for name in datamodules.__all__ if name not in data - abstract} & words
    models = {name for name in lit_models.__all__ if name.startswith("Lit")} - {"LitModel", "LitLightningModule"}
    assert models <= words


@pytest.mark.parametrize("verb", ["fit", "test", "validate"])
def test_short_help_and_full_parser_have_the_same_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help-all"])
    assert stopped.value.code == 0
    full = {word.strip("[],") for word in capsys.readouterr().out.split()}
    parser: argparse.ArgumentParser = import_module(f"experiments.verbs.{verb}").PARSER
    short = {word for word in parser.format_help().split("\n  evenhand")[0].split() if word.startswith("--")}
    of_process = {"--trust", "--allow_change", "--debug"}  # taken before the full parser sees them
    of_classes = {word for word in short if word.startswith(("--data.", "--model."))}
    assert {word.partition("=")[0].rstrip("+,];") for word in short - of_process - of_classes} <= full | {
        "--trainer.callbacks.monitor",
        "--SETTING",
    }
    assert "--trainer.gradient_clip_val" in full


def test_the_overview_has_every_verb_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb in VERBS:
        assert any(line[10:].startswith(f"{verb} ") and line.endswith(".") for line in lines), verb
    assert max(map(len, lines)) <= 101


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], ["inspect", "--help"], ["floor", "--help"]])
def test_help_needs_no_torch(words: list[str]) -> None:
    code = f"import sys; from experiments.__main__ import main; main({words}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
