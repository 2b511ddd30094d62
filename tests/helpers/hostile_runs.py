"""A small run of a table, and how commands end, for tests of damaged and hostile files."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main


class Touch:
    """Unpickles to a call that makes the file ``ran``."""

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
    """A finished run of a table in ``folder``; its path."""
    table = write_table(folder / "t.csv")
    data = ["--data", "TableData", "--data.path", str(table), "--data.target", "label", "--model", "LitLinear"]
    more = ["--trainer.max_epochs", "1", "--figures", "false", "--seed_everything", "0", "--run", "a"]
    assert main(["fit", *data, *more, *words, "--experiment", "e", "--trainer.default_root_dir", str(folder)]) == 0
    return folder / "runs/e/a"


def refusal(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says that must end with exit code 2 and a sentence, and run nothing."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([*words])
    said = capfd.readouterr().err
    assert stopped.value.code == 2, said
    assert "Traceback" not in said
    assert "a bug in" not in said
    assert not Path("ran").exists()
    assert 1 <= len(said.strip().splitlines()) <= 5, said
    return said
