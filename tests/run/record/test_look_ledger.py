"""Each evaluation of test rows is a line in the ledger of its run and in that of all runs, once for a checkpoint."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Fit
from paths import REPOSITORY
from resumed_runs import looks

from experiments.__main__ import main
from experiments.run.record.look_ledger import LEDGER, Look, append_look, read_looks

TINY = ("--data", "Tiny", "--model", "LitMLP", "--trainer.max_epochs", "3", "--data.batch_size", "10")


def a_look(number: int = 0) -> Look:
    return Look("2026", "test", "e", "r", "best.ckpt", f"{number:064d}", "data", "split", "rows", 5, {"accuracy": None})


def evaluate(*words: object) -> int:
    return main(["test", "--trust", "tiny_package", *map(str, words)])


def test_a_fit_is_a_look_and_so_is_each_further_checkpoint(fit: Fit, root: Path) -> None:
    every_epoch = (
        "--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor val/loss --trainer.callbacks.save_top_k"
    )
    record = fit(*TINY, "--trainer.max_epochs", "2", "--run", "first", *every_epoch.split(), "-1")
    path: Path = record["path"]
    assert record["status"] == "finished"
    (look,) = looks(path)
    assert looks(root / "runs") == [look]
    assert look["file"].startswith("checkpoints/epoch=")
    assert (look["command"], look["experiment"], look["run"], look["count"]) == ("fit", "tiny", "first", 9)
    assert {"data": look["data"], "split": look["split"]} == record["fingerprints"]
    assert {f"test/{name}": value for name, value in look["metrics"].items()} == record["metrics"]
    for checkpoint in (path / "checkpoints").glob("*.ckpt"):
        assert evaluate("--ckpt_path", checkpoint, "--trainer.default_root_dir", root) == 0
    tested = looks(path)
    assert tested[0] == look
    assert len({one["checkpoint"] for one in tested}) == len(tested) == 2  # the last epoch is last.ckpt too
    assert looks(root / "runs") == tested
    assert {one["rows"] for one in tested} == {look["rows"]}


def test_a_copied_checkpoint_is_the_same_look_in_the_folder_where_it_is_tested(fit: Fit, root: Path) -> None:
    path = fit(*TINY)["path"]
    (root / "elsewhere").mkdir()
    copied = shutil.copy(path / "checkpoints/best.ckpt", root / "elsewhere")
    assert evaluate("--ckpt_path", copied, "--trainer.default_root_dir", root / "elsewhere") == 0
    (look,), (there,) = looks(path), looks(root / "elsewhere" / "runs")
    assert (there["checkpoint"], there["rows"], there["run"]) == (look["checkpoint"], look["rows"], "")


def test_what_shows_no_test_metric_is_no_look(fit: Fit, root: Path) -> None:
    path = fit(*TINY, "--test_at_end", "false")["path"]
    assert main(["validate", "--trust", "tiny_package", "--ckpt_path", str(path)]) == 0
    assert not [*root.rglob(LEDGER)]


def test_a_run_in_a_folder_that_cannot_be_written_is_tested_with_a_note(
    fit: Fit, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = fit(*TINY)["path"]
    for folder in (path, root / "runs"):
        (folder / LEDGER).unlink()
    (path / LEDGER).symlink_to(root / "victim")  # a link may lead to any file
    os.mkfifo(root / "runs" / LEDGER)
    capfd.readouterr()
    assert evaluate("--ckpt_path", path) == 0
    shown = capfd.readouterr()
    assert "test/accuracy" in shown.out
    notes = [line for line in shown.err.splitlines() if line.startswith("note: ")]
    assert [f"{folder / LEDGER} lacks this look at the test rows" in note for folder, note in
            zip((path, root / "runs"), notes, strict=True)] == [True, True]  # fmt: skip
    assert "pipe" in notes[1]
    assert not (root / "victim").exists()


def test_a_damaged_line_is_passed_over_and_the_next_look_has_a_line_of_its_own(tmp_path: Path) -> None:
    append_look(a_look(1), tmp_path)
    whole = (tmp_path / LEDGER).read_bytes()
    damaged: list[Any] = [b"[]", b"{", b"\xff\x00", b"[" * 100_000, b'{"time": 3}', whole.replace(b'"rows"', b"[1]")]
    (tmp_path / LEDGER).write_bytes(b"\n".join([whole.strip(), *damaged, whole[:50]]))  # the last one by a kill
    for number in (1, 2, 2):
        append_look(a_look(number), tmp_path)
    found, count = read_looks(tmp_path)
    assert found == [a_look(1), a_look(2)]
    assert count == 7
    assert (tmp_path / LEDGER).read_bytes().startswith(whole)


def test_jobs_that_append_at_the_same_time_lose_no_line(tmp_path: Path) -> None:
    program = """if True:
        import sys
        from pathlib import Path
        from experiments.run.record.look_ledger import Look, append_look
        job = int(sys.argv[2])
        for number in range(job * 30, job * 30 + 60):  # half of them are also the next job's
            look = Look("", "fit", "e", "r", "b", f"{number:064d}", "data", "split", "rows", 5, {"a": 0.5})
            append_look(look, Path(sys.argv[1]))
        assert "torch" not in sys.modules
    """
    jobs = [subprocess.Popen([sys.executable, "-c", program, tmp_path, str(job)], cwd=REPOSITORY) for job in range(3)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    found, damaged = read_looks(tmp_path)
    assert damaged == 0
    assert sorted(look.checkpoint for look in found) == [f"{number:064d}" for number in range(120)]
