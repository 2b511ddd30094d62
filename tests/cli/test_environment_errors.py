"""Closed pipes, folders that cannot be used and missing packages: exit code 2 and one sentence, or no end at all."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from paths import PYTHONPATH

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


@pytest.mark.skipif(find_spec("psutil") is not None, reason="needs a package that is missing")
def test_a_package_that_a_callback_needs(capfd: pytest.CaptureFixture[str]) -> None:
    assert "pip install" in refusal(capfd, "--trainer.callbacks", "DeviceStatsMonitor")


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


@pytest.mark.parametrize("option", ["-c {}", "--config={}"])
def test_arguments_from_a_pipe_for_a_class_that_is_typed(option: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"model: {init_args: {dropout: 0.25, optimizer: {init_args: {lr: 0.5}}}}")
    os.close(writer)
    main([*WORDS.split(), "--model.optimizer", "SGD", *option.format(f"/dev/fd/{reader}").split()])
    config = yaml.safe_load(config_of(Path("runs/e/one")))["model"]
    assert config["init_args"]["dropout"] == 0.25
    assert config["init_args"]["hidden"] == [8]
    assert config["init_args"]["optimizer"]["class_path"] == "torch.optim.SGD"
    assert config["init_args"]["optimizer"]["init_args"]["lr"] == 0.5


def test_a_pipe_without_an_end(capfd: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(["yes", "x"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        assert "more than 8 MiB" in refusal(capfd, "-c", f"/dev/fd/{endless.stdout.fileno()}")
        endless.kill()


def test_a_checkpoint_path_that_is_no_text(capfd: pytest.CaptureFixture[str]) -> None:
    for value in ("5", "[a]", "{a: b}"):
        Path("c.yaml").write_text(f"ckpt_path: {value}\nrun: 7\nexperiment: [x]\n")
        assert refusal(capfd, "-c", "c.yaml").startswith("error: ")


def test_a_profiler_reports_once(caplog: pytest.LogCaptureFixture) -> None:
    main([*WORDS.split(), "--trainer.profiler", "simple"])
    assert caplog.text.lower().count("profiler report") == 1


@pytest.mark.parametrize(
    "words",
    ["compare --help", pytest.param("fit --data Digits --model LitLinear --print_config", marks=pytest.mark.slow)],
)
def test_a_reader_that_is_gone_at_the_end(words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "experiments", *words.split()]
    with os.fdopen(writer, "w") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_seed_out_of_range_in_an_evaluation(capfd: pytest.CaptureFixture[str]) -> None:
    main(WORDS.split())
    for verb in ("test", "validate"):
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--trust", "faults", "--ckpt_path", "runs/e/one", "--seed_everything", "-1"])
        assert stopped.value.code == 2
        assert "--seed_everything must be from 0 to 4294967295, and it is -1" in capfd.readouterr().err


def test_a_closed_pipe_ends_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["inspect", "--data", "Digits"]) == 0
        assert main(["--help"]) == 0
        with pytest.raises(SystemExit, match="0"):
            main(["fit", "--data", "Digits", "--model", "LitLinear", "--print_config"])
        assert main(WORDS.split()) == 0
        assert main(["validate", "--trust", "faults", "--ckpt_path", "runs/e/one"]) == 0  # prints Lightning's table
    with open("/dev/full", "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        assert main(["inspect", "--data", "Digits"]) == 0


def test_a_model_from_a_pipe_is_not_chosen_by_the_data(capfd: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"model: LitLinear")
    os.close(writer)
    with pytest.raises(SystemExit):
        main(["fit", "--data", "Digits", "-c", f"/dev/fd/{reader}", "--print_config"])
    assert "class_path: lit_models.LitLinear" in capfd.readouterr().out


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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("localedef") is None, reason="needs localedef")
def test_files_are_utf_8_in_a_latin_1_locale() -> None:
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", "./de_DE.ISO-8859-1"], check=True)
    Path("c.yaml").write_text("model: {class_path: LitLinear}\ndata: {init_args: {drop: [größe]}}\n", encoding="utf-8")
    rows = [f"{row},{row % 7},{row % 2}" for row in range(100)]
    Path("t.csv").write_text("\n".join(["größe,b,label", *rows]), encoding="utf-8")
    words = "fit --data TableData --data.path t.csv --data.target label -c c.yaml --trainer.max_epochs 1 "
    words += "--figures false --experiment e --run one"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUTF8"}
    environment |= {"LOCPATH": str(Path.cwd()), "LC_ALL": "de_DE.ISO-8859-1", "PYTHONPATH": PYTHONPATH}
    subprocess.run([sys.executable, "-m", "experiments", *words.split()], check=True, env=environment)
    assert "größe" in (Path("runs/e/one") / "config.yaml").read_text("utf-8")
