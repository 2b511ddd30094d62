"""Closed pipes, folders that cannot be used and missing packages: exit code 2 and one sentence, or no end at all."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from experiments.__main__ import main
from experiments.cli.arguments import config_below
from experiments.run.record.record_io import config_of, read_record

WORDS = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --data.batch_size 20 --experiment e "
WORDS += "--run one --trainer.max_epochs 1 --seed_everything 1 --figures false"


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(capfd: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS.split(), *more])
    message = capfd.readouterr().err
    assert stopped.value.code == 2, message
    assert "a bug in" not in message
    return message


def test_a_folder_that_is_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    Path("runs").touch()
    assert "runs" in refusal(capfd)


def test_a_name_that_no_file_system_takes(capfd: pytest.CaptureFixture[str]) -> None:
    assert "at most 200" in refusal(capfd, "--run", "n" * 260)


def test_a_closed_pipe_does_not_end_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        main(WORDS.split())
    assert read_record(Path("runs/e/one"))["status"] == "finished"


def test_a_configuration_from_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"model: {class_path: LitMLP, init_args: {dropout: 0.25}}")
    os.close(writer)
    main([*WORDS.split(), "-c", f"/dev/fd/{reader}"])
    assert "dropout: 0.25" in config_of(Path("runs/e/one"))


def test_a_model_from_a_pipe_is_not_chosen_by_the_data(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"model: LitLinear")
    os.close(writer)
    with pytest.raises(SystemExit):
        main(["fit", "--data", "Digits", "-c", f"/dev/fd/{reader}", "--print_config"])
    assert "max_epochs: 40" in capfd.readouterr().out


def test_a_list_that_is_built_anew_replaces_the_earlier_one() -> None:
    before = yaml.safe_dump({"data": {"class_path": "TableData", "init_args": {"target": ["a", "b"], "path": "d.csv"}}})
    text = config_below(before, ["fit", "--data.target+", "a", "--data.target+", "b"])
    assert yaml.safe_load(text)["data"]["init_args"] == {"path": "d.csv"}


def test_barebones_trains_without_a_folder() -> None:
    assert main([*WORDS.split(), "--trainer.barebones", "true"]) == 0
    assert not Path("runs").exists()


def test_rows_of_a_csv_logger_stay() -> None:
    logger = "--trainer.logger CSVLogger --trainer.logger.save_dir c --trainer.logger.name l --trainer.logger.version v"
    main([*WORDS.split(), *logger.split()])
    main([*WORDS.split(), *logger.split(), "--trainer.max_epochs", "2"])
    epochs = {line.split(",")[0] for line in Path("c/l/v/metrics.csv").read_text().splitlines()[1:]}
    assert {"0", "1"} <= epochs
