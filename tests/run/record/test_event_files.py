"""TensorBoard's event files: on a disk that is full, and of two sessions within a second."""

import errno
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from experiments.__main__ import main
from experiments.run.record.run_directory import RunDirectory
from experiments.run.record.tensorboard import RunLogger

WORDS = (
    "fit --trust faults --data faults.Waves --model LitMLP --model.hidden [8] --trainer.max_epochs 2 --figures false"
)


@pytest.mark.parametrize("number", [1, 3, 20])
def test_a_full_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    """TensorBoard's thread prints a traceback of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest's own collects
    write, left = RecordWriter.write, number

    def full(self: RecordWriter, data: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(RecordWriter, "write", full)
    with pytest.raises(SystemExit) as ended:
        main(WORDS.split())
    printed = capfd.readouterr().err
    assert ended.value.code == 2
    assert "Traceback" not in printed
    assert [line for line in printed.splitlines() if "error" in line] == ["error: No space left on device; make room"]


def test_a_second_session_is_named_behind_the_first(tmp_path: Path) -> None:
    """TensorBoard reads the files in the order of their names: the numbers of processes start anew, or gain a digit."""
    logger = RunLogger(RunDirectory(tmp_path, "e", "one"))
    folder = Path(logger.log_dir)
    folder.mkdir(parents=True)
    first = folder / f"events.out.tfevents.{int(time.time()):010d}.zz.99999.0"
    first.touch()
    logger.open_session({}, None, [])
    logger.close_session()
    names = sorted(path.name for path in folder.glob("events.*"))
    assert len(names) == 2
    assert names[0] == first.name
