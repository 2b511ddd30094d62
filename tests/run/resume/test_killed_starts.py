"""Runs that were killed between two writes, moved, or locked by another process."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from fork_server import Server, server
from kept_folder import KeptFolder
from numpy.typing import NDArray

from experiments.__main__ import main
from experiments.run.record.record_io import config_of, read_record

WORDS = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --data.batch_size 20 --experiment e "
WORDS += "--run one --trainer.max_epochs 2 --seed_everything 1 --model.optimizer.lr 0.1 --figures false "
WORDS += "--model.schedule null"
RUN = Path("runs/e/one")


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> KeptFolder:
    return KeptFolder(tmp_path_factory, lambda: main(WORDS.split()))


@pytest.fixture(autouse=True)
def trained(trained_once: KeptFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the finished run back; returns its folder, which is the working directory."""
    return trained_once.put_back(monkeypatch)


def interrupt(**changes: object) -> None:
    """Leaves the record as a killed process does."""
    content = json.loads((RUN / "record.json").read_text()) | {"status": "interrupted"} | changes
    (RUN / "record.json").write_text(json.dumps(content))


def rates() -> list[float]:
    checkpoint = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)
    return [group["lr"] for group in checkpoint["optimizer_states"][0]["param_groups"]]


def test_a_changed_rate_survives_a_kill_ahead_of_the_first_checkpoint() -> None:
    """A configuration that was written after the checkpoint is not taken for the checkpoint's."""
    (RUN / "config-2.yaml").write_text((RUN / "config.yaml").read_text().replace("lr: 0.1", "lr: 0.5"))
    interrupt()
    main([*WORDS.split(), "--model.optimizer.lr", "0.5", "--trainer.max_epochs", "3"])
    assert rates() == [0.5, 0.5]


def test_a_folder_without_a_record_is_no_run() -> None:
    """A start that was killed between its two files leaves no configuration behind."""
    (RUN / "record.json").unlink()
    shutil.rmtree(RUN / "checkpoints")
    (RUN / "config.yaml").write_text("")
    main([*WORDS.split(), "--model.optimizer.lr", "0.5"])
    assert "lr: 0.5" in config_of(RUN)
    assert not list(RUN.glob("config-*"))


def test_a_configuration_that_no_record_names_is_that_of_a_killed_start() -> None:
    """The second file of a start is the record, which names the first."""
    (RUN / "config-2.yaml").write_text((RUN / "config.yaml").read_text().replace("lr: 0.1", "lr: 0.5"))
    interrupt()
    main(["fit", "--trust", "faults", "--experiment", "e", "--run", "one", "--trainer.max_epochs", "3"])
    assert rates() == [0.1, 0.1]
    assert "max_epochs: 3" in (RUN / "config-2.yaml").read_text()
    assert json.loads((RUN / "record.json").read_text())["config"] == "config-2.yaml"


def kill_at(forks: Server, folder: Path, number: int, how: str = "kill") -> Path:
    """Kills the start of a run at one of its writes; returns its folder."""
    here = folder / str(number)
    here.mkdir()
    words = [*WORDS.split(), "--run", "two"]
    child = forks.start(words, here, folder, BREAK_WRITE=str(number), BREAK_HOW=how)
    assert child.wait() == -signal.SIGKILL, child.output.read_text()
    return here


def is_begun(folder: Path) -> bool:
    """Returns True if the run is there, False if nothing of it is; asserts that there is no half of it."""
    files = [(folder / "runs/e/two" / name).is_file() for name in ("config.yaml", "record.json")]
    assert files == 2 * [(folder / "runs/e/two").exists()]
    return all(files)


def test_configuration_and_record_appear_together(forks: Server, tmp_path: Path) -> None:
    """A kill at any write of the start leaves a whole folder or none, and nothing for the next start or ``compare``.

    One start copies its folder ahead of each write, which is what a kill there leaves.
    """
    (tmp_path / "copies").mkdir()
    copies = kill_at(forks, tmp_path / "copies", 59, "copy")
    number = next(number for number in range(1, 59) if is_begun(copies.with_name(f"59-{number}")))
    assert number > 5
    assert is_begun(kill_at(forks, tmp_path, number))
    check_next_start(forks, tmp_path, kill_at(forks, tmp_path, number - 1))


@pytest.mark.slow
def test_configuration_and_record_appear_together_after_a_kill_of_every_write(forks: Server, tmp_path: Path) -> None:
    begun = False
    for number in range(1, 60):
        before, here = tmp_path / str(number - 1), kill_at(forks, tmp_path, number)
        if begun := is_begun(here):
            break
    assert begun
    check_next_start(forks, tmp_path, before)


def check_next_start(forks: Server, folder: Path, before: Path) -> None:
    """Asserts that a start that was killed just before its run was there is no run, and that the next one ends it."""
    assert not is_begun(before)
    assert [path.name for path in (before / "runs/e").iterdir() if path.suffix == ".new"] == [".two.new"]
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(before / "runs")])
    child = forks.start([*WORDS.split(), "--run", "two"], before, folder)
    assert child.wait() == 0, child.output.read_text()
    assert [path.name for path in (before / "runs/e").iterdir()] == ["two"]


@pytest.mark.parametrize("number", [1, 5, 9, *(pytest.param(number, marks=pytest.mark.slow) for number in (3, 7))])
def test_a_start_on_a_full_disk_leaves_no_record_alone(forks: Server, tmp_path: Path, number: int) -> None:
    words = [*WORDS.split(), "--run", "two"]
    child = forks.start(words, tmp_path, BREAK_WRITE=str(number), BREAK_HOW="ENOSPC")
    assert child.wait() == 2, child.output.read_text()
    files = [(tmp_path / "runs/e/two" / name).is_file() for name in ("config.yaml", "record.json")]
    assert files[0] == files[1]
    child = forks.start(words, tmp_path)
    assert child.wait() == 0, child.output.read_text()


@pytest.mark.parametrize(
    "number", [*range(1, 8, 2), *(pytest.param(number, marks=pytest.mark.slow) for number in range(2, 8, 2))]
)
def test_a_resume_on_a_full_disk_leaves_the_earlier_record(forks: Server, number: int) -> None:
    before, here = read_record(RUN), Path.cwd()
    longer = [*WORDS.split(), "--trainer.max_epochs", "3"]
    child = forks.start(longer, here, BREAK_WRITE=str(number), BREAK_HOW="ENOSPC")
    assert child.wait() == 2, child.output.read_text()
    after = read_record(RUN)
    assert {name: after[name] for name in ("config", "started", "fingerprints")} == {
        name: before[name] for name in ("config", "started", "fingerprints")
    } or after["config"] == "config-2.yaml"
    assert forks.start(longer, here).wait() == 0
    assert read_record(RUN)["epochs"] == 3


def test_a_run_whose_folder_is_a_link_to_an_empty_one_is_written_there(forks: Server, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "runs/e").mkdir(parents=True, exist_ok=True)
    (tmp_path / "runs/e/two").symlink_to(tmp_path / "scratch")
    child = forks.start([*WORDS.split(), "--run", "two"], tmp_path)
    assert child.wait() == 0, child.output.read_text()
    assert (tmp_path / "scratch/record.json").is_file()


@pytest.mark.parametrize("kind", ["StreamedTable", "StreamedArrays"])
def test_a_streamed_file_that_another_one_of_its_size_and_time_replaced_is_noticed(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = numpy.random.default_rng(0).normal(size=(100, 2)).astype("float32")
    y = numpy.arange(100) % 2

    def write(x: NDArray[numpy.float32]) -> None:
        if kind == "StreamedTable":
            table = polars.DataFrame({"a": x[:, 0], "b": x[:, 1], "label": y})
            table.write_parquet("x.parquet", compression="uncompressed")
        else:
            numpy.save("x.npy", x)

    words = ["--data.path", "x.parquet", "--data.target", "label", "--data.cache", "cache"]
    if kind == "StreamedArrays":
        numpy.save("y.npy", y)
        words = ["--data.path", "x.npy", "--data.labels", "y.npy"]
    words = ["fit", "--data", kind, *words, "--model", "LitLinear", "--experiment", "e", "--run", "two"]
    write(x)
    (file,) = Path().glob("x.*")
    before = file.stat()
    main([*words, "--trainer.max_epochs", "1", "--figures", "false"])
    write(-x)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--trainer.max_epochs", "2", "--figures", "false"])
    assert f"trained on other data than what {kind} reads now" in capfd.readouterr().err


def test_another_count_of_threads_is_noted(capfd: pytest.CaptureFixture[str]) -> None:
    interrupt()
    count = torch.get_num_threads()
    try:
        torch.set_num_threads(count + 1)
        main([*WORDS.split(), "--trainer.max_epochs", "3"])
    finally:
        torch.set_num_threads(count)
    sentence = f"trained with {count} threads and goes on with {count + 1}, which may change last digits"
    assert sentence in capfd.readouterr().out
    assert any(sentence in note for note in read_record(RUN)["notes"])


def test_a_record_of_another_machine_without_a_lock_is_not_in_progress() -> None:
    interrupt(status="running", process={"host": "elsewhere", "pid": 1, "began": "then"})
    main(WORDS.split())
    assert read_record(RUN)["status"] == "finished"
    assert not list(RUN.parent.glob(".*"))


def test_a_locked_run_is_in_progress(forks: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """From the moment of the decision on: the record does not have to say so yet."""
    interrupt()
    holder = forks.start([], Path.cwd(), HOLD=str(RUN))
    holder.wait_for(Path("locked"))
    with pytest.raises(SystemExit) as stopped:
        main(WORDS.split())
    assert stopped.value.code == 2
    assert "is in progress" in capfd.readouterr().err
    holder.kill()
    main(WORDS.split())


def test_a_moved_run_keeps_its_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain Lightning looks for best.ckpt at the old absolute path."""
    interrupt()
    Path("runs").rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", tmp_path / "home" / "runs")
    shutil.rmtree(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "home")
    main(WORDS.split())
    assert read_record(RUN)["status"] == "finished"
    state = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)["callbacks"]
    assert state


def test_an_untested_run_that_was_moved_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main([*WORDS.split(), "--run", "two", "--test_at_end", "false"])
    assert read_record(RUN.parent / "two")["status"] == "untested"
    (tmp_path / "home").mkdir()
    Path("runs").rename(tmp_path / "home" / "runs")
    monkeypatch.chdir(tmp_path / "home")
    main([*WORDS.split(), "--run", "two", "--test_at_end", "true"])
    assert read_record(RUN.parent / "two")["metrics"] == read_record(RUN)["metrics"]


def test_a_run_killed_while_figures_are_drawn_draws_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, words = RUN.parent / "two", [*WORDS.split(), "--run", "two", "--figures", "true"]
    statuses = []

    def write_figures(*_: Any) -> list[str]:
        """Keeps the folder as a kill at this moment leaves it."""
        statuses.append(read_record(run)["status"])
        shutil.copytree(run, tmp_path / "killed", dirs_exist_ok=True)
        return []

    monkeypatch.setattr("experiments.run.record.record.write_figures", write_figures)
    main(words)
    shutil.rmtree(run)
    (tmp_path / "killed").rename(run)
    main(words)
    assert statuses == ["running", "running"]
    assert read_record(run)["status"] == "finished"


def test_early_stopping_as_typed_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Plain Lightning restores the checkpoint's patience, and stops again without a step."""
    stop = "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.min_delta 10"
    words = [*WORDS.split(), *stop.split(), "--run", "two", "--trainer.max_epochs", "5"]
    main([*words, "--trainer.callbacks.patience", "1"])
    assert read_record(RUN.parent / "two")["epochs"] == 2
    with pytest.raises(SystemExit):
        main(["fit", "--trust", "faults", "--ckpt_path", "runs/e/two", "--run", "three"])
    assert "stopped early after 2 epochs" in capfd.readouterr().err
    main([*words, "--trainer.callbacks.patience", "9"])
    assert read_record(RUN.parent / "two")["epochs"] == 5


def test_a_run_of_steps_is_extended() -> None:
    main([*WORDS.split(), "--run", "two", "--trainer.max_steps", "3"])
    main(["fit", "--trust", "faults", "--experiment", "e", "--run", "two", "--trainer.max_steps", "5"])
    state = torch.load(RUN.parent / "two/checkpoints/last.ckpt", weights_only=True)
    assert state["global_step"] == 5


def test_weights_alone_are_tested_and_not_gone_on_with(capfd: pytest.CaptureFixture[str]) -> None:
    typed = "--trainer.callbacks ModelCheckpoint --trainer.callbacks.monitor val/loss --trainer.callbacks.filename best"
    main([*WORDS.split(), "--run", "two", *typed.split(), "--trainer.callbacks.save_weights_only", "true"])
    assert read_record(RUN.parent / "two")["status"] == "finished"
    (best,) = (RUN.parent / "two/checkpoints").glob("best*.ckpt")
    assert main(["test", "--trust", "faults", "--ckpt_path", str(best)]) == 0
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--trust", "faults", "--ckpt_path", str(best), "--run", "three"])
    assert stopped.value.code == 2
    assert "has no optimizer_states" in capfd.readouterr().err
