"""A small run of a table, and commands that must refuse, for tests of damaged and hostile files."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main


class Touch:
    """Unpickles to a call that creates the file ``ran``."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def write_table(path: Path, rows: int = 120) -> Path:
    draw = random.Random(0)
    lines = ["x,colour,label"]
    for _ in range(rows):
        x = draw.gauss(0, 1)
        lines.append(f"{x:.4f},{draw.choice(['red', 'green', 'blue'])},{'high' if x > 0 else 'low'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def train(folder: Path, *words: str) -> Path:
    """Trains a run of a table in ``folder``; returns its path."""
    table = write_table(folder / "t.csv")
    data = ["--data", "TableData", "--data.path", str(table), "--data.target", "label", "--model", "LitLinear"]
    more = ["--trainer.max_epochs", "1", "--figures", "false", "--seed_everything", "0", "--run", "a"]
    assert main(["fit", *data, *more, *words, "--experiment", "e", "--trainer.default_root_dir", str(folder)]) == 0
    return folder / "runs/e/a"


def refusal(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs a command that must end with exit code 2 and run no code of a file; returns its error message."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([*words])
    message = capfd.readouterr().err
    assert stopped.value.code == 2, message
    assert "Traceback" not in message
    assert "a bug in" not in message
    assert not Path("ran").exists()
    assert 1 <= len(message.strip().splitlines()) <= 5, message
    return message
