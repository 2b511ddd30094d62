"""Mistakes on the command line that people make: the sentence says what to type in their place."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_data import QUICK

from experiments.__main__ import main

TINY = ["--data", "Tiny", "--model", "LitMLP"]
Refused = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--model.hidden 64,64", "--model.hidden 64,64: expected a list, as in [64,64]"),
        ("--model.hidden wide", "--model.hidden wide: expected a list, as in [wide]"),
        ("--data.ratios [.8,.2]", "--data.ratios [0.8, 0.2]: expected a list of 3 values"),
        ("--trainer.max_epochs ten", "--trainer.max_epochs ten: expected a whole number"),
        ("--model.dropout 50%", "--model.dropout 50%: expected a number"),
        ("--model.metrics f2", "expected names with values, as in {name: value}"),
        ("--trainer.logger wandb", "--trainer.logger wandb: expected a class; --trainer.logger+=CSVLogger adds one"),
        ("--trainer.callbacks EarlyStopping", "error: --trainer.callbacks.monitor is missing"),
        ("--model.schedule ReduceLROnPlateau", "did you mean --model.schedule.scheduler ReduceLROnPlateau?"),
        ("--model.schedule StepRL", "--model.schedule StepRL: there is no class 'StepRL'"),
        ("--seed 3", "there is no setting seed; did you mean --seed_everything?"),
        ("--epochs 3", "there is no setting epochs; did you mean --trainer.max_epochs?"),
        ("--gpus 2", "did you mean --trainer.devices?"),
        ("--output-dir out", "did you mean --trainer.default_root_dir?"),
        ("--resume yes", "did you mean --ckpt_path?"),
        ("--nothing_like_it 3", "there is no setting nothing_like_it; evenhand fit --help-all lists all"),
        ("more", "error: more is no option; evenhand fit --help-all lists all"),
    ],
)
def test_a_setting(refused: Refused, words: str, expected: str) -> None:
    message = refused(*TINY, *words.split())
    assert expected in message
    assert len(message.splitlines()) <= 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--model mlp --data Tiny", "there is no class 'mlp'\nnearest: LitMLP, LitResMLP"),
        ("--model LitLSTM --data Tiny", "there is no class 'LitLSTM'\ndid you mean --model LitRNN --model.cell lstm?"),
        ("--model resnet --data Tiny", "there is no class 'resnet'\ndid you mean --model LitResCNN?"),
        ("--data.path my.csv", "--data is missing, whose class has the setting data.path; write --data TableData"),
        ("--data.path my", "--data is missing, whose class has the setting data.path; as in --data TableData"),
        (
            "--data TableData --data.path my.csv",
            "--data.target is missing; for example: evenhand fit --data TableData --data.path my.csv --data.target COL",
        ),
        ("my.csv", "error: my.csv is no option; write --data TableData --data.path my.csv"),
        ("photos/", "error: photos/ is no option; write --data ImageData --data.path photos/, or SeriesData, TextData"),
    ],
)
def test_data_or_a_model(refused: Refused, words: str, expected: str) -> None:
    assert expected in refused(*words.split())


def test_a_checkpoint(capfd: pytest.CaptureFixture[str]) -> None:
    for verb in ("test", "validate", "predict"):
        with pytest.raises(SystemExit, match="2"):
            main([verb])
        assert f"for example: evenhand {verb} --ckpt_path FOLDER_OF_A_RUN" in capfd.readouterr().err


def test_a_gpu(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    for accelerator in ("CUDAAccelerator", "MPSAccelerator"):
        monkeypatch.setattr(f"lightning.pytorch.accelerators.{accelerator}.is_available", lambda: False)
    assert "--trainer.accelerator gpu: torch sees none here; leave it out" in refused(
        *TINY, "--trainer.accelerator", "gpu"
    )


SETTINGS = ["model.hidden", "model.dropout", "data.ratios", "data.batch_size", "trainer.max_epochs", "trainer.devices"]


@settings(QUICK, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*SETTINGS, "model.optimizer.lr", "model.schedule", "trainer.callbacks", "model.loss"]), st.data()
)
def test_any_wrong_value_is_one_sentence_that_names_its_setting(
    refused: Refused, setting: str, drawn: st.DataObject
) -> None:
    value = drawn.draw(st.sampled_from(["a b", "3,4", "[x", "{", "}", "[[1]]", "{a: 1}", "yes", "1e", "-", "null,"]))
    message = refused(*TINY, f"--{setting}={value}")
    assert message.startswith("error: ")
    assert setting.rpartition(".")[2] in message
    assert "Union" not in message
    assert "Traceback" not in message
