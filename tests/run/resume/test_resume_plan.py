"""``--run NAME`` given again, what changes then, and what an interruption leaves: what you typed is what ran."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fork_server import Server, server
from kept_folder import KeptFolder
from paths import PYTHONPATH
from resumed_runs import assert_equal, curves, run, state, words_of

from experiments.__main__ import main
from experiments.run.record.record_io import read_record

WORDS = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --data.batch_size 20 "
WORDS += "--experiment e --run one --trainer.max_epochs 2 --seed_everything 1 --model.optimizer.lr 0.1 --figures false "
WORDS += "--model.schedule null --trainer.callbacks null"


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> KeptFolder:
    return KeptFolder(tmp_path_factory, lambda: main(WORDS.split()))


@pytest.fixture
def trained(trained_once: KeptFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the finished run back; returns its folder, which is the working directory."""
    return trained_once.put_back(monkeypatch)


Refused = Callable[..., str]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    """A command that must end with 2 after one sentence."""

    def call(*words: str) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([*words])
        message = capfd.readouterr().err
        assert stopped.value.code == 2, message
        assert "Traceback" not in message
        assert len(message.strip().splitlines()) <= 5
        return message

    return call


def record(folder: Path, name: str = "one") -> dict[str, Any]:
    return read_record(folder / "runs/e" / name)


def last(folder: Path, name: str = "one") -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(folder / f"runs/e/{name}/checkpoints/last.ckpt", weights_only=True)
    return checkpoint


def make_unfinished(folder: Path, name: str = "one") -> None:
    """As a kill after the training leaves it."""
    path = folder / "runs/e" / name / "record.json"
    content = json.loads(path.read_text()) | {"status": "running", "process": {"host": os.uname().nodename, "pid": 1}}
    path.write_text(json.dumps(content | {"process": content["process"] | {"began": "another boot"}}))


SLURM = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "job", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.fixture(scope="module")
def signalled_words() -> list[str]:
    """Returns the command of a run that only a signal makes save within an epoch."""
    words = words_of("cnn", "0")
    return words[: words.index("--save_every_n_steps")]


@pytest.fixture(scope="module")
def unsignalled(forks: Server, tmp_path_factory: pytest.TempPathFactory, signalled_words: list[str]) -> dict[str, Any]:
    """Returns what the run ends with that gets no signal."""
    return state(run(forks, tmp_path_factory.mktemp("whole"), signalled_words))


@pytest.mark.parametrize(
    ("number", "code", "moment", "env"),
    [
        (signal.SIGTERM, 143, "start 5", {}),
        pytest.param(signal.SIGTERM, 143, "validation 1", {}, marks=pytest.mark.slow),
        (signal.SIGINT, 130, "validation 1", {}),
        pytest.param(signal.SIGHUP, 129, "start 5", {}, marks=pytest.mark.slow),
        (signal.SIGUSR1, 138, "start 5", SLURM),
    ],
)
def test_a_signal_saves_at_the_next_step_and_the_resumed_run_equals(
    forks: Server,
    tmp_path: Path,
    signalled_words: list[str],
    unsignalled: dict[str, Any],
    number: int,
    code: int,
    moment: str,
    env: dict[str, str],
) -> None:
    """Plain Lightning: SIGTERM exits 0 and saves nothing, SIGINT exits 1, SIGHUP kills.

    Under SLURM, SIGUSR1 leaves a checkpoint beside the runs that any later run starts from, and requeues the job.
    """
    child = forks.start(signalled_words, tmp_path, PAUSE_AT=moment, GO_ON="1", **env)
    child.wait_for(tmp_path / "reached")
    os.kill(child.pid, number)
    assert child.wait() == code, child.output.read_text()
    assert not list(tmp_path.rglob("hpc_ckpt*"))
    assert "Traceback" not in child.output.read_text()
    assert record(tmp_path)["status"] == "interrupted"
    saved = last(tmp_path)
    assert saved["global_step"] == (6 if moment == "start 5" else 18)
    path = run(forks, tmp_path, signalled_words)
    assert_equal(state(path), unsignalled)


def test_ctrl_c_names_the_command_that_goes_on(forks: Server, tmp_path: Path) -> None:
    child = forks.start(words_of("mlp", "0"), tmp_path, PAUSE_AT="start 5", GO_ON="1")
    child.wait_for(tmp_path / "reached")
    os.kill(child.pid, signal.SIGINT)
    assert child.wait() == 130
    checkpoint, command = "runs/e/one/checkpoints/last.ckpt", "evenhand fit --trust faults --experiment e --run one"
    sentence = f"interrupted in epoch 1, after step 6; saved {checkpoint}; to go on: {command}\n"
    assert child.output.read_text().endswith(sentence)
    again = forks.start(shlex.split(command)[1:], tmp_path)
    assert again.wait() == 0, again.output.read_text()
    assert f"resumes from {checkpoint}: epoch 1, after step 6\n" in again.output.read_text()
    (resumed,) = read_record(tmp_path / "runs/e/one")["resumed"]
    assert (resumed["epoch"], resumed["step"]) == (1, 6)


def test_ctrl_c_ends_no_worker_before_the_run_has_saved(forks: Server, tmp_path: Path) -> None:
    """A terminal sends it to all processes; a worker that it ends is an error of the loader, and no interruption."""
    child = forks.start(words_of("cnn", "2 within"), tmp_path, PAUSE_AT="start 5", GO_ON="1")
    child.wait_for(tmp_path / "reached")
    workers = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    for pid in (*map(int, workers), child.pid):
        os.kill(pid, signal.SIGINT)
    assert len(workers) >= 2
    assert child.wait() == 130, child.output.read_text()
    assert "Traceback" not in child.output.read_text()
    assert last(tmp_path)["global_step"] == 6


def test_a_killed_run_reads_interrupted_and_one_that_runs_does_not(forks: Server, tmp_path: Path) -> None:
    """Plain Lightning keeps no status at all."""
    child = forks.start(words_of("mlp", "0"), tmp_path, PAUSE_AT="step 4")
    child.wait_for(tmp_path / "reached")
    assert record(tmp_path)["status"] == "running"
    second = forks.start(words_of("mlp", "0"), tmp_path)
    assert second.wait() == 2
    assert "is in progress" in second.output.read_text()
    child.kill()
    assert record(tmp_path)["status"] == "interrupted"


def test_a_job_that_is_started_again_goes_on_with_its_run(forks: Server, tmp_path: Path) -> None:
    """Plain Lightning begins a new version_1 from the first step."""
    words = words_of("mlp", "0")
    del words[words.index("--run") : words.index("--run") + 2]
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "interactive"}
    child = forks.start(words, tmp_path, PAUSE_AT="step 10", **job)
    child.wait_for(tmp_path / "reached")
    child.kill()
    assert forks.start(words, tmp_path, **job).wait() == 0
    (path,) = (tmp_path / "runs/e").iterdir()
    assert "job4711" in path.name
    (resumed,) = read_record(path)["resumed"]
    assert resumed["step"] == 9
    assert resumed["changed"] == {}
    assert forks.start([*words, "--model.hidden", "[9]"], tmp_path, **job).wait() == 0  # another command of the job
    assert len(list((tmp_path / "runs/e").iterdir())) == 2


def test_a_restart_with_the_same_configuration_is_silent(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Plain Lightning dies: SaveConfigCallback expected the file to NOT exist."""
    make_unfinished(trained)
    before = capfd.readouterr().err
    main(WORDS.split())
    assert capfd.readouterr().err == before
    assert {path.name for path in (trained / "runs/e/one").glob("*.yaml")} == {"config.yaml"}
    assert record(trained)["status"] == "finished"


def test_a_run_is_gone_on_with_by_its_name_alone(trained: Path) -> None:
    make_unfinished(trained)
    main(["fit", "--trust", "faults", "--run", "one"])
    assert record(trained)["status"] == "finished"
    assert record(trained)["hyperparameters"]["model.optimizer.lr"] == 0.1


def test_a_finished_run_says_what_to_do(trained: Path, refused: Refused) -> None:
    message = refused(*WORDS.split())
    assert "finished" in message
    assert "--trainer.max_epochs" in message
    assert len(message.strip().splitlines()) == 1


@pytest.mark.parametrize("schedule", ["OneCycleLR", "CosineAnnealingLR"])
def test_a_finished_run_is_extended_and_its_schedule_told(
    here: Path, capfd: pytest.CaptureFixture[str], schedule: str
) -> None:
    """Plain Lightning: ValueError: Tried to step 15 times, or a rate that stays at the old run's zero."""
    main([*WORDS.split(), "--model.schedule.scheduler", schedule])
    capfd.readouterr()
    main([*WORDS.split(), "--model.schedule.scheduler", schedule, "--trainer.max_epochs", "4"])
    message = capfd.readouterr().err
    assert "trainer.max_epochs" in message
    assert "the schedule now spans the run" in message
    rates = [value for _, value in curves(here / "runs/e/one")["train/lr"]]
    main([*WORDS.split(), "--model.schedule.scheduler", schedule, "--trainer.max_epochs", "4", "--run", "whole"])
    straight = [value for _, value in curves(here / "runs/e/whole")["train/lr"]]
    assert len(rates) == 4
    assert rates[2:] == pytest.approx(straight[2:], rel=1e-5)
    assert record(here)["epochs"] == 4
    assert (here / "runs/e/one/config-2.yaml").exists()


def test_a_learning_rate_typed_anew_wins_in_the_optimizer(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Plain Lightning trains at the checkpoint's 0.1 and its saved config says 0.1 (PL#21455)."""
    path = trained / "runs/e/one/checkpoints/last.ckpt"
    capfd.readouterr()
    typed = f"fit --trust faults --model.optimizer.lr 0.5 --ckpt_path {path} --experiment e --run two"
    main([*typed.split(), "--trainer.max_epochs", "3"])
    table = next(line.split() for line in capfd.readouterr().err.splitlines() if "model.optimizer.lr" in line)
    assert table == ["model.optimizer.lr", "0.1", "0.5"]
    assert [group["lr"] for group in last(trained, "two")["optimizer_states"][0]["param_groups"]] == [0.5, 0.5]
    assert [value for _, value in curves(trained / "runs/e/two")["train/lr"]] == [0.5]
    content = record(trained, "two")
    assert content["hyperparameters"]["model.optimizer.lr"] == 0.5
    assert content["resumed"][0]["changed"]["model.optimizer.lr"] == [0.1, 0.5]


def test_a_learning_rate_typed_anew_scales_the_schedule(here: Path) -> None:
    words = [*WORDS.split(), "--model.schedule.scheduler", "StepLR", "--model.schedule.scheduler.step_size", "1"]
    main(words)
    main([*words, "--model.optimizer.lr", "0.5", "--trainer.max_epochs", "4"])
    rates = [value for _, value in curves(here / "runs/e/one")["train/lr"]]
    assert rates == pytest.approx([0.01, 0.001, 0.0005, 0.00005], rel=1e-4)  # logged after the step


def test_another_schedule_is_taken_up_at_the_step_of_the_run(trained: Path) -> None:
    main([*WORDS.split(), "--trainer.max_epochs", "4", "--model.schedule.scheduler", "CosineAnnealingLR"])
    rates = [value for _, value in curves(trained / "runs/e/one")["train/lr"]]
    assert rates[:2] == pytest.approx([0.1, 0.1])
    assert rates[3] < rates[2] < 0.06


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("--data.split_seed 5", "data.split_seed"),
        ("--data.normalize minmax", "data.normalize"),
        ("--data.batch_size 10", "data.batch_size"),
        ("--model.hidden [9]", "model.hidden"),
        ("--model LitCNN", "model"),
    ],
)
def test_what_changes_shapes_data_or_split_is_refused(trained: Path, refused: Refused, words: str, key: str) -> None:
    """Plain Lightning trains on the restored split and records the typed one, or dies with a size mismatch."""
    make_unfinished(trained)
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}
    typed = WORDS.replace("--model LitMLP --model.hidden [8]", "") if key == "model" else WORDS
    message = refused(*typed.split(), *words.split())
    assert f"--allow_change {key}" in message
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()} == before


def remove_options(folder: Path, *lines: str) -> None:
    """As a version leaves it that did not have them yet: a run's configurations without these lines."""
    path = folder / "runs/e/one/config.yaml"
    kept = [line for line in path.read_text().splitlines() if line.strip() not in lines]
    assert len(kept) == len(path.read_text().splitlines()) - len(lines)
    path.write_text("\n".join(kept) + "\n")
    path = folder / "runs/e/one/checkpoints/last.ckpt"
    torch.save(last(folder) | {"evenhand_config": "\n".join(kept) + "\n"}, path)


def test_a_run_of_a_version_with_fewer_options_goes_on(trained: Path, refused: Refused) -> None:
    make_unfinished(trained)
    remove_options(trained, "mixup: 0.0", "norm: batch")
    assert "--allow_change model.mixup" in refused(*WORDS.split(), "--model.mixup", "0.2")
    main(WORDS.split())
    assert record(trained)["status"] == "finished"
    assert record(trained)["resumed"][-1]["changed"] == {}


def test_a_change_that_was_allowed_happens(trained: Path) -> None:
    old = record(trained)["fingerprints"]["split"]
    words = (
        "--data.split_seed 5 --model.hidden [9] --trainer.max_epochs 3 --allow_change data --allow_change model.hidden"
    )
    main([*WORDS.split(), *words.split()])
    assert record(trained)["fingerprints"]["split"] != old
    assert next(iter(last(trained)["state_dict"].values())).shape[0] == 9
    assert record(trained)["epochs"] == 3


def test_the_last_checkpoint_by_its_short_name(here: Path, refused: Refused) -> None:
    words = ["fit", "--trust", "faults", "--ckpt_path", "last", "--experiment", "e"]
    assert "no run with a checkpoint" in refused(*words)
    main(WORDS.split())
    make_unfinished(here)
    main(words)
    assert record(here)["status"] == "finished"


def test_a_run_is_not_named_after_one_that_was_refused(here: Path, refused: Refused) -> None:
    words = "fit --trust faults --data faults.Waves --experiment e --figures false --trainer.max_epochs 1"
    more = "--model LitLinear --model.steps_per_execution 7 --trainer.accumulate_grad_batches 2"
    assert "accumulated gradients" in refused(*words.split(), *more.split())
    main([*words.split(), "--model", "LitMLP"])
    (run,) = (path for path in (here / "runs/e").iterdir() if (path / "record.json").is_file())
    assert run.name.startswith("LitMLP-seed")


def test_a_runs_folder_is_a_checkpoint(trained: Path, refused: Refused, capfd: pytest.CaptureFixture[str]) -> None:
    """Its best to look at, its last to go on from."""
    capfd.readouterr()
    outputs = []
    for path in ("runs/e/one", "runs/e/one/checkpoints/best.ckpt"):
        assert main(["test", "--trust", "faults", "--ckpt_path", path]) == 0
        outputs.append(capfd.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "accuracy" in outputs[0]
    words = ["fit", "--trust", "faults", "--run", "two", "--trainer.max_epochs", "3", "--ckpt_path"]
    main([*words, "runs/e/one"])
    assert record(trained, "two")["resumed"][-1]["step"] == last(trained)["global_step"]
    (trained / "runs/e/one/checkpoints/last.ckpt").unlink()
    assert "--ckpt_path runs/e/one is a folder without checkpoints/last.ckpt" in refused(*words, "runs/e/one")


def test_time_adds_up_over_sessions(forks: Server, tmp_path: Path) -> None:
    child = forks.start(words_of("mlp", "0"), tmp_path, PAUSE_AT="step 20", GO_ON="1")
    assert child.wait() == 0
    whole = record(tmp_path)["seconds"]
    (tmp_path / "two").mkdir()
    child = forks.start(words_of("mlp", "0"), tmp_path / "two", PAUSE_AT="start 20", GO_ON="1")
    child.wait_for(tmp_path / "two/reached")
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait() == 143
    began = time.monotonic()
    run(forks, tmp_path / "two", words_of("mlp", "0"))
    assert 0.2 < record(tmp_path / "two")["seconds"] < 0.2 + whole + (time.monotonic() - began)


def test_checkpoints_of_another_kind_are_refused(trained: Path, refused: Refused) -> None:
    path = trained / "runs/e/one/checkpoints/best.ckpt"
    message = refused(*f"test --trust faults --ckpt_path {path} --model LitCNN".split())
    assert "trained with lit_models.LitMLP" in message
    message = refused(*f"test --trust faults --ckpt_path {path} --data MNIST1D".split())
    assert "trained with faults.Waves" in message


def test_a_failure_between_two_steps_is_saved_and_the_resumed_run_equals(forks: Server, tmp_path: Path) -> None:
    """Plain Lightning saves nothing then, and exits 1 with a traceback."""
    words = [word.replace("faults.Waves", "faults.Failing") for word in words_of("transformer", "0")]
    words = words[: words.index("--save_every_n_steps")]
    (tmp_path / "whole").mkdir()
    expected = state(run(forks, tmp_path / "whole", words))
    child = forks.start(words, tmp_path, BREAK_AT="1 4")
    assert child.wait() == 2
    output = child.output.read_text()
    assert "the disk is gone" in output
    assert "Traceback" not in output
    assert record(tmp_path)["status"] == "failed"
    assert last(tmp_path)["global_step"] == 13
    assert_equal(state(run(forks, tmp_path, words)), expected)


def test_a_run_that_stopped_early_is_finished(here: Path, refused: Refused) -> None:
    """Plain Lightning forgets that it stopped, and trains for another epoch whenever it is resumed."""
    words = [*WORDS.split(), "--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"]
    words += ["--trainer.callbacks.patience", "1", "--trainer.callbacks.min_delta", "10", "--trainer.max_epochs", "9"]
    main(words)
    assert record(here)["epochs"] == 2
    make_unfinished(here)
    main(words)
    assert record(here)["epochs"] == 2
    message = refused(*words, "--trainer.max_epochs", "20")
    assert "stopped early after 2 epochs" in message


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_save_at_the_same_step_and_resume(tmp_path: Path) -> None:
    """Plain Lightning broadcasts from inside its signal handler, which two processes do not reach together."""
    words = "fit --trust faults --data faults.Waves --data.batch_size 16 --model LitMLP --model.hidden [8] "
    words += "--seed_everything 3 --experiment e --trainer.devices 2 --trainer.accelerator cpu --trainer.strategy ddp"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PYTHONPATH}

    def start(*more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "experiments", *words.split(), *more]
        return subprocess.Popen(command, cwd=tmp_path, env=env)

    killed = start("--run", "one", "--trainer.max_epochs", "1000")
    end = time.monotonic() + 120
    while not (tmp_path / "runs/e/one/checkpoints/last.ckpt").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    killed.send_signal(signal.SIGTERM)
    assert killed.wait(120) == 143
    assert record(tmp_path)["status"] == "interrupted"
    epochs = str(last(tmp_path)["epoch"] + 3)
    for name in ("one", "whole"):
        assert start("--run", name, "--trainer.max_epochs", epochs).wait(300) == 0
    assert_equal(last(tmp_path)["state_dict"], last(tmp_path, "whole")["state_dict"])
    assert_equal(last(tmp_path)["optimizer_states"], last(tmp_path, "whole")["optimizer_states"])
