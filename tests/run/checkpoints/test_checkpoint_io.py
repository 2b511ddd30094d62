"""A kill at any moment leaves a checkpoint that loads, and no finite checkpoint is overwritten by a broken one."""

import errno
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fork_server import Server, server
from resumed_runs import curves

from experiments.__main__ import main
from experiments.run import callbacks, divergence
from experiments.run.checkpoints.checkpoint_io import SafeCheckpointIO, newest
from experiments.run.divergence import Divergence
from experiments.run.record.record_io import read_record

WORDS = "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --data.batch_size 20 "
WORDS += "--experiment e --run one --trainer.max_epochs 3 --seed_everything 1 --figures false"
OPERATIONS = 6 * 6
"""open, two halves of a write, fsync, rename, fsync of the folder; best and last in each of three epochs."""
FOLDER = 12
"""The fsync of a folder: the file is whole already."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def whole(forks: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of an undisturbed run, with copies of its files ahead of every operation of a save."""
    folder = tmp_path_factory.mktemp("whole")
    assert broken_at(forks, folder, 1000, "copy", {})[0] == 0
    return folder / "1000"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def elsewhere() -> Iterator[dict[str, str]]:
    """TMPDIR on another file system, which nothing may go through."""
    folder = Path("/dev/shm/evenhand-test")
    if not folder.parent.is_dir() or folder.parent.stat().st_dev == Path("/tmp").stat().st_dev:
        pytest.skip("there is no other file system here")
    folder.mkdir(exist_ok=True)
    yield {"TMPDIR": str(folder)}
    assert not [path for path in folder.iterdir() if path.is_file()]
    folder.rmdir()


def check_files(folder: Path, operation: int) -> None:
    files = list(folder.glob("runs/e/one/checkpoints/*.ckpt"))
    assert len(files) == (operation > 5) + (operation > 11)  # best's first rename is the fifth operation
    for path in files:
        torch.load(path, weights_only=True)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    assert (newest(folder / "runs/e/one/checkpoints")[0] is not None) == bool(files)


def broken_at(forks: Server, folder: Path, operation: int, how: str, env: dict[str, str]) -> tuple[int, str]:
    here = folder / str(operation)
    here.mkdir()
    child = forks.start(WORDS.split(), here, FAIL_AT=str(operation), FAIL_WITH=how, **env)
    code = child.wait()
    return code, child.output.read_text()


def test_the_operations_of_a_save_are_all_broken(whole: Path) -> None:
    """Else the tests below stop short of the last one."""
    done = int((whole / "operations").read_text())
    best = sum(1 for _ in range(done // 6))
    assert done == 6 * best
    assert OPERATIONS - 12 <= done <= OPERATIONS


def test_every_operation_inside_of_a_save_finds_checkpoints_that_load(whole: Path) -> None:
    for operation in range(1, OPERATIONS - 11):
        check_files(whole / "copies" / str(operation), operation)


@pytest.mark.parametrize(
    "operation",
    [
        5,  # ahead of the first file's rename
        15,  # half of one that replaces a file
        *(pytest.param(operation, marks=pytest.mark.slow) for operation in range(1, 24) if operation not in (5, 15)),
    ],
)
def test_a_kill_inside_of_a_save_leaves_a_checkpoint_that_loads(
    forks: Server, tmp_path: Path, operation: int, elsewhere: dict[str, str]
) -> None:
    """Plain Lightning with $TMPDIR on another file system: a truncated file, 5 of 5 (PL#21253)."""
    code, message = broken_at(forks, tmp_path, operation, "kill", elsewhere)
    assert code == -9, message
    check_files(tmp_path / str(operation), operation)
    if operation % 5 == 0:
        child = forks.start(WORDS.split(), tmp_path / str(operation), **elsewhere)
        assert child.wait() == 0, child.output.read_text()


@pytest.mark.parametrize(
    ("operation", "how"),
    [
        *((operation, "ENOSPC") for operation in (7, 9, 11)),
        (13, "EROFS"),
        *(pytest.param(operation, "ENOSPC", marks=pytest.mark.slow) for operation in (8, 10, 13)),
        pytest.param(7, "EROFS", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_or_a_read_only_folder_is_one_sentence(
    forks: Server, tmp_path: Path, operation: int, how: str
) -> None:
    """Plain Lightning: a traceback, and the file before it is gone."""
    code, message = broken_at(forks, tmp_path, operation, how, {})
    assert code == 2
    assert "Traceback" not in message
    (line,) = (line for line in message.splitlines() if "error" in line)
    assert "cannot be written" in line
    assert os.strerror(28 if how == "ENOSPC" else 30) in line
    check_files(tmp_path / str(operation), operation)
    assert not list(tmp_path.glob("*/runs/e/one/checkpoints/.*"))
    assert read_record(tmp_path / str(operation) / "runs/e/one")["status"] == "failed"


@pytest.mark.parametrize("operation", [6, 18])
def test_a_kill_between_best_and_last_loses_no_point_of_a_curve(
    forks: Server, tmp_path: Path, whole: Path, operation: int
) -> None:
    """The train loss of an epoch is logged after best.ckpt is saved."""
    assert broken_at(forks, tmp_path, operation, "kill", {})[0] == -9
    names = {path.name for path in tmp_path.glob(f"{operation}/runs/e/one/checkpoints/*.ckpt")}
    assert names == ({"best.ckpt"} if operation == 6 else {"best.ckpt", "last.ckpt"})
    assert forks.start(WORDS.split(), tmp_path / str(operation)).wait() == 0
    assert curves(tmp_path / str(operation) / "runs/e/one") == curves(whole / "runs/e/one")


def test_a_folder_that_cannot_be_flushed_ends_no_run(forks: Server, tmp_path: Path) -> None:
    code, message = broken_at(forks, tmp_path, FOLDER, "EROFS", {})
    assert code == 0, message


def test_a_damaged_checkpoint_is_passed_over_and_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Plain Lightning loads flipped bits without a word: torch.load looks at no checksum."""
    main(WORDS.split())
    path = here / "runs/e/one/checkpoints/last.ckpt"
    content = bytearray(path.read_bytes())
    tensors = [member for member in zipfile.ZipFile(path).infolist() if "/data/" in member.filename]
    start = max(tensors, key=lambda member: member.file_size).header_offset
    name, extra = struct.unpack_from("<HH", content, start + 26)
    content[start + 30 + name + extra] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)  # it does not notice
    record = here / "runs/e/one/record.json"
    record.write_text(record.read_text().replace('"finished"', '"failed"'))
    capfd.readouterr()
    main(WORDS.split())
    message = capfd.readouterr().err
    assert "last.ckpt is no checkpoint" in message
    assert read_record(record.parent)["resumed"][0]["checkpoint"].endswith("best.ckpt")


def test_the_last_checkpoint_is_the_newest_where_a_copy_kept_whole_seconds(tmp_path: Path) -> None:
    for name in ("best.ckpt", "last.ckpt", "zebra.ckpt"):
        torch.save({"epoch": name}, tmp_path / name)
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))  # as tar and rsync --times to some disks leave them
    assert newest(tmp_path)[0] == tmp_path / "last.ckpt"
    os.utime(tmp_path / "best.ckpt", (1_700_000_001, 1_700_000_001))
    assert newest(tmp_path)[0] == tmp_path / "best.ckpt"


def test_hyperparameters_are_plain_values(tmp_path: Path) -> None:
    """Plain Lightning pickles whatever object a hyper-parameter is, and needs its class to load it."""
    files = SafeCheckpointIO()
    with pytest.raises(TypeError, match=r"hyper_parameters.loss is a CrossEntropyLoss"):
        files.save_checkpoint({"hyper_parameters": {"loss": torch.nn.CrossEntropyLoss()}}, tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


def diverge(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[Path, dict[str, Any], str]:
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS.split(), *words])
    message = capfd.readouterr().err
    assert stopped.value.code == 3, message
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1
    path = Path("runs/e/one")
    assert read_record(path)["status"] == "diverged"
    for file in path.glob("checkpoints/*.ckpt"):
        weights = torch.load(file, weights_only=True)["state_dict"]
        assert all(bool(tensor.isfinite().all()) for tensor in weights.values())
    return path, json.loads((path / "divergence.json").read_text()), message


@pytest.mark.parametrize("every", [None, 4, 1000])
def test_a_loss_that_is_not_finite_ends_the_run(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, every: int | None
) -> None:
    """Plain Lightning trains to the end, exits 0 and saves NaN as best with score inf (PL#20708)."""
    if every:
        monkeypatch.setattr(callbacks, "Divergence", partial(Divergence, every=every))
    words = "--trainer.callbacks+ faults.NaNAt --trainer.callbacks.step 9"  # the third batch of seven, second epoch
    path, report, message = diverge(capfd, *words.split())
    assert report["step"] == 10
    assert report["found_at_step"] == {None: 10, 4: 11, 1000: 14}[every]
    assert len(report["rows"]) == 20
    assert len(set(report["rows"])) == 20
    assert report["gradient_norms"].keys() == {name for name in report["gradient_norms"] if name.startswith("network")}
    assert report["gradient_norms"]
    assert "the loss is nan at step 10" in message
    assert torch.load(path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 7
    assert torch.load(path / "checkpoints/best.ckpt", weights_only=True)["global_step"] == 7


def test_a_run_that_diverges_on_a_full_disk_has_diverged(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(divergence, "write_json", full)
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS.split(), *["--trainer.callbacks+", "faults.NaNAt", "--trainer.callbacks.step", "9"]])
    assert stopped.value.code == 3
    assert "the loss is nan at step 10 (epoch 2); the checkpoints are from before it" in capfd.readouterr().err
    assert read_record(Path("runs/e/one"))["status"] == "diverged"


def test_a_rate_that_is_too_high_ends_the_run(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = "--model.optimizer SGD --model.optimizer.lr 1e36"
    _, report, _ = diverge(capfd, *words.split())
    assert report["epoch"] == 0
