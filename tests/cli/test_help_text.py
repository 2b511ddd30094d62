"""What ``--help`` prints: short, with an example, without torch, naming what there is."""

import subprocess
import sys
from contextlib import suppress

import pytest

import datamodules
import lit_models
from experiments.__main__ import VERBS, main
from experiments.cli.help_text import PAGES


@pytest.mark.parametrize("verb", sorted({*VERBS, *PAGES}))
def test_every_verb_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):  # argparse's way
        assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert any(line.startswith(f"  evenhand {verb}") for line in said.splitlines())  # a command to copy
    assert len(said.splitlines()) <= 60


@pytest.mark.parametrize("verb", PAGES)
def test_a_page_is_two_screens(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 101
    assert f"evenhand {verb} --help-all" in lines[-1]


def test_the_page_names_what_can_be_trained() -> None:
    words = {*PAGES["fit"].replace("|", " ").split()}
    concrete = [getattr(datamodules, name) for name in datamodules.__all__]
    data = {one.__name__ for one in concrete if isinstance(one, type) and issubclass(one, datamodules.DataModule)}
    abstract = {"DataModule", "InMemoryData", "StreamData", "FrameData", "LabelledTexts", "PixelData", "SequenceData"}
    assert data - abstract <= words
    models = {name for name in lit_models.__all__ if name.startswith("Lit") and name != "LitModel"}
    assert models <= {word.rstrip(";") for word in words}


def test_all_settings_are_a_word_away(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--help-all"])
    assert stopped.value.code == 0
    assert "--trainer.gradient_clip_val" in capsys.readouterr().out


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from experiments.__main__ import main; main(['fit', '--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
