"""YAML that loops, that grows without end, that is nested without end or is no UTF-8: a sentence, at once."""

from pathlib import Path

import pytest
import torch
import yaml
from hostile_runs import refusal, train

from experiments import safe_yaml
from experiments.run.checkpoints.checkpoint_io import CONFIG

LAUGHS = "\n".join(["l0: &l0 [x]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10))])
ALIASES = f"a: &a x\nb: [{', '.join(['*a'] * 1001)}]"
TEXTS = {
    "loop": ("trainer: &t {callbacks: *t}\nmodel: *t\ndata: *t\n", "is inside of its own anchor"),
    "laughs": (LAUGHS, "values with the aliases written out"),
    "aliases": (ALIASES, "more than 1,000 aliases"),
    "brackets": ("[" * 100_000, "nested more than 64 levels"),
    "braces": ("{a: " * 3000, "nested more than 64 levels"),
    "dashes": ("- " * 3000 + "a", "nested more than 64 levels"),
    "values": ("data: [" + "1," * 200_001 + "]", "more than 200,000 values"),
    "size": ("# " + "x" * (8 << 20), "more than 8 MiB"),
    "number": ("seed_everything: " + "1" * 5000, "a number of more than 1,000 digits"),
    "sexagesimal": ("seed_everything: 1" + ":1" * 200_000, "a number of more than 1,000 digits"),
    "date": ("seed_everything: 2026-99-99", ""),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", TEXTS)
def test_as_a_configuration(here: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    text, reason = TEXTS[kind]
    (here / "c.yaml").write_text(text)
    assert reason in refusal(capfd, "fit", "-c", "c.yaml", "--data", "Digits", "--model", "LitLinear", "--run", "a b;")


@pytest.mark.parametrize("kind", ["loop", "laughs", "brackets"])
def test_inside_a_value(here: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """A value that is a text is read as YAML too, and so is the file that it names."""
    text, _ = TEXTS[kind]
    (here / "part.yaml").write_text(text)
    for value in (text, "part.yaml"):
        words = ("--data", "Digits", "--model", "LitLinear", "--model.metrics", value)
        assert "--model.metrics" in refusal(capfd, "fit", *words)


@pytest.mark.parametrize("kind", ["loop", "laughs", "brackets", "aliases"])
def test_inside_a_checkpoint(here: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    run = train(here)
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    torch.save(checkpoint | {CONFIG: TEXTS[kind][0]}, here / "hostile.ckpt")
    for verb in ("test", "fit"):
        assert "hostile.ckpt has a configuration" in refusal(capfd, verb, "--ckpt_path", "hostile.ckpt")
    words = ("--ckpt_path", "hostile.ckpt", "--input", "t.csv")
    assert "hostile.ckpt" in refusal(capfd, "predict", *words)
    (run / "config.yaml").write_text(TEXTS[kind][0])
    message = refusal(capfd, "fit", "--run", "a", "--experiment", "e", "--trainer.max_epochs", "2")
    assert "config.yaml is no configuration of a run" in message


@pytest.mark.parametrize("kind", ["loop", "laughs", "brackets"])
def test_as_a_published_table_and_as_a_space(here: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    text, reason = TEXTS[kind]
    (here / "c.yaml").write_text(text)
    assert reason in refusal(capfd, "sweep", "--paper", "c.yaml")
    search = ("--search", "random", "--trials", "1", "--space", "c.yaml", "--data", "Digits", "--model", "LitLinear")
    assert reason in refusal(capfd, "sweep", *search)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32"])
def test_another_encoding(here: Path, capfd: pytest.CaptureFixture[str], encoding: str) -> None:
    (here / "c.yaml").write_bytes("# é\ndata: Digits\n".encode(encoding))
    assert "c.yaml is not UTF-8 text" in refusal(capfd, "fit", "-c", "c.yaml")
    assert "c.yaml is not UTF-8 text" in refusal(capfd, "fit", "--data", "Digits", "--model", "c.yaml")


def test_aliases_of_a_person_are_read() -> None:
    text = "a: &a {lr: 0.1}\nb: [*a, *a]\nc: {<<: *a, x: 1}\n"
    assert safe_yaml.load(text) == yaml.safe_load(text)
    assert safe_yaml.load("x: [1, 2.5, 2026-01-01, null, on]") == yaml.safe_load("x: [1, 2.5, 2026-01-01, null, on]")
