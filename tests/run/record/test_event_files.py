"""TensorBoard's event files on a disk that is full."""

import errno
import threading
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

from experiments.__main__ import main

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
