"""Names from somebody's file reach the terminal without their control characters."""

import warnings
from pathlib import Path

import pytest
from hostile_runs import refusal, train

from experiments.__main__ import main

NAME = "\x1b]0;EVIL\x07\x1b[31mz\x9b2J\u202e"
SHOWN = r"\x1b]0;EVIL\x07\x1b[31mz\x9b2J\u202e"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(printed: str) -> None:
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*printed}
    assert r"\x1b" in printed


def test_an_error_and_a_columns_name(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(here)
    (here / "n.csv").write_text(f"{NAME},x,colour\n1,2,red\n")
    capfd.readouterr()
    assert main(["predict", "--ckpt_path", str(run), "--input", "n.csv", "--output", "o.csv"]) == 0
    check("".join(capfd.readouterr()))
    check(refusal(capfd, "predict", "--ckpt_path", f"{run}{NAME}", "--input", "n.csv", "--output", "o.csv"))


def test_tables_and_summaries(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of inspect, a training and compare; a class and two columns with such a name."""
    rows = "\n".join(f"{index},{index % 7},{'low' if index % 2 else NAME}" for index in range(60))
    (here / "t.csv").write_text(f"{NAME},x,{NAME}label\n{rows}\n")
    data = ["--data", "TableData", "--data.path", "t.csv", "--data.target", f"{NAME}label", "--data.leaks", "ignore"]
    data = [word for word in data if word not in ("--data.leaks", "ignore")]
    capfd.readouterr()
    assert main(["inspect", *data]) == 0
    check("".join(capfd.readouterr()))
    fit = ["--model", "LitLinear", "--trainer.max_epochs", "1", "--figures", "false", "--run", "a"]
    assert main(["fit", *data, *fit]) == 0
    assert "\x1b" not in "".join(capfd.readouterr())
    assert main(["predict", "--ckpt_path", "runs/tabledata/a", "--input", "t.csv", "--output", "o.csv"]) == 0
    assert "\x1b" not in "".join(capfd.readouterr())


def test_what_is_typed(capfd: pytest.CaptureFixture[str]) -> None:
    check(refusal(capfd, "fit", "--data", "Digits", "--model", NAME))
    check(refusal(capfd, "compare", f"nowhere{NAME}"))


def test_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["test", "--ckpt_path", "nowhere.ckpt"])
    capfd.readouterr()
    check(warnings.formatwarning(f"the column {NAME}", UserWarning, "f.py", 1, "line"))
