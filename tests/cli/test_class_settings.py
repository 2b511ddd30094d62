"""A path in place of a class, and options that lack the name of their class: one sentence that says what to type."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.__main__ import main

Refused = Callable[..., str]


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sentence(refused: Refused, *words: str) -> str:
    message = refused(*words)
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize("content", [b"a,label\n1,x\n", b"PAR1\0\xff", None])
def test_a_file_in_place_of_a_data_class(refused: Refused, content: bytes | None) -> None:
    if content is not None:
        Path("churn.csv").write_bytes(content)
    message = sentence(refused, "--data", "churn.csv", "--data.target", "label")
    assert message.endswith("; write --data TableData --data.path churn.csv")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--data=photos/cats"], "--data ImageData --data.path photos/cats"),
        (["--data", "Tiny", "--model", "my/models.py"], "--trust my.models --model my.models.CLASS"),
        (["--data", "Tiny", "--model", "a.csv"], "--model LitMLP"),
    ],
)
def test_another_path_in_place_of_a_class(refused: Refused, words: list[str], advice: str) -> None:
    assert advice in sentence(refused, *words)


def test_a_path_in_place_of_a_class_in_other_verbs(capfd: pytest.CaptureFixture[str]) -> None:
    for verb in ("inspect", "floor"):
        with pytest.raises(SystemExit, match="2"):
            main([verb, "--data", "churn.csv"])
        assert "write --data TableData --data.path churn.csv" in capfd.readouterr().err


NAMES = [
    *("model.optimizer.lr", "model.optimizer.betas", "model.dropout", "model.hidden", "model.schedule.warmup"),
    *("data.batch_size", "data.ratios", "trainer.max_epochs", "trainer.devices"),
]


@given(name=st.sampled_from(NAMES), model=st.sampled_from([[], ["--model", "LitMLP"]]))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_option_by_its_last_part(refused: Refused, name: str, model: list[str]) -> None:
    message = sentence(refused, "--data", "Digits", *model, f"--{name.rpartition('.')[2]}", "0.1")
    assert f"; did you mean --{name}" in message


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--model.optimizer", "SGD", "--momentum", "0.9"], "--model.optimizer.momentum"),
        (["--model.schedule.scheduler", "StepLR", "--step_size", "3"], "--model.schedule.scheduler.step_size"),
        (["--batchsize", "3"], "--data.batch_size"),
        (["--qwxzy", "3"], "--help-all lists all"),
    ],
)
def test_an_option_of_a_typed_class(refused: Refused, words: list[str], advice: str) -> None:
    assert advice in sentence(refused, "--data", "Digits", "--model", "LitMLP", *words)


@pytest.mark.parametrize(
    ("option", "path", "base", "example"),
    [
        ("--model", "torch.optim.SGD", "LitModel", "LitMLP"),
        ("--model.optimizer", "torch.nn.Linear", "Optimizer", "SGD"),
        ("--data", "torch.nn.Linear", "DataModule", "Table"),
    ],
)
def test_a_class_of_another_kind(refused: Refused, option: str, path: str, base: str, example: str) -> None:
    message = sentence(refused, "--data", "Digits", "--model", "LitMLP", option, path)
    assert f"error: {option} {path}: it is no {base}, and" in message
    assert f"such as {example}" in message
