"""A sweep's table obeys the rules of ``compare``: one configuration once, one test part a table, whole figures."""

import json
from pathlib import Path
from typing import Any

import pytest
from in_process_sweep import Calls, calls, records

from experiments.__main__ import main

__all__ = ["calls"]

WORDS = "--trust tiny_package --figures false --data Tiny --data.batch_size 10 --trainer.max_epochs 1 --experiment e"


def sweep(root: Path, *words: str) -> int:
    return main(["sweep", *WORDS.split(), *words, "--trainer.default_root_dir", str(root)])


@pytest.mark.parametrize(
    "grid",
    ["model.optimizer.lr=1e-2,0.01", "model.dropout=0,0.0", "trainer.gradient_clip_val=1,3,1.0"],
)
def test_a_value_in_two_spellings_is_refused(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], grid: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep(root, "--model", "LitLinear", "--grid", grid)
    (line,) = capfd.readouterr().err.splitlines()
    assert "are one configuration" in line
    assert not calls.started


def test_runs_of_other_splits_have_a_table_of_their_own(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    ratios = "data.ratios=[0.6,0.2,0.2],[0.5,0.2,0.3]"
    assert sweep(root, "--grid", "model=LitLinear,LitMLP", "model.dropout=0.125", ratios, "--seeds", "0,1") == 0
    printed = capfd.readouterr().out
    assert "…" not in printed
    assert printed.count("not compared with the first") == 1
    assert "?tagFilter=%5E(train%2Floss%7Cval%2F)&runFilter=mean%24#timeseries" in printed
    below = printed.partition("not compared with the first")[2].splitlines()
    rows = [line.split()[0] for line in below if line.lstrip().startswith("Lit") and "seed" not in line]
    assert len(rows) == 2
    assert len({row.partition("ratios")[2] for row in rows}) == 1


def test_runs_of_data_that_changed_in_between_have_a_table_of_their_own(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    def write(shift: int) -> None:
        rows = [f"{row % 7 + shift},{row % 5},{'ab'[row % 2]}" for row in range(60)]
        (root / "rows.csv").write_text("\n".join(["x,y,kind", *rows]))

    words = f"sweep --figures false --data TableData --data.path {root}/rows.csv --data.target kind --experiment e"
    words += (
        f" --data.duplicates keep-together --model LitLinear --trainer.max_epochs 1 --trainer.default_root_dir {root}"
    )
    write(0)
    assert main([*words.split(), "--grid", "model.optimizer.lr=1e-2", "--seeds", "0,1"]) == 0
    write(1)
    capfd.readouterr()
    assert main([*words.split(), "--grid", "model.optimizer.lr=1e-2,1e-1", "--seeds", "0..3"]) == 0
    printed = capfd.readouterr().out
    first, _, second = printed.partition("not compared with the first: the rows of TableData are not the rows of")
    rows = [
        sorted(
            line.split()[:2] for line in table.splitlines() if line.strip().startswith("LitLinear-lr") and "." in line
        )
        for table in (first.rpartition("─")[2], second)
    ]
    curves = sorted(path.name for path in (root / "runs/e").glob("* mean"))
    assert rows[0] == [["LitLinear-lr=1e-1", "4"], ["LitLinear-lr=1e-2", "2"]]
    assert rows[1] == [["LitLinear-lr=1e-2", "2"]]
    assert len(curves) == 3
    assert main(["compare", str(root / "runs/e"), "--format", "csv"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 1 + 3


def edit_record(folder: Path, **changes: Any) -> None:
    file = folder / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_finished_runs_without_readable_metrics_are_listed(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--grid", "model=LitLinear,LitMLP", "--seeds", "0")
    assert sweep(root, *words) == 0
    first, second = (root / "runs/e" / name for name in records(root, "e"))
    edit_record(first, metrics=None)
    edit_record(second, metrics={})
    capfd.readouterr()
    assert sweep(root, *words) == 0
    printed = capfd.readouterr().out
    assert f"{first.name}  is in no table: its record.json cannot be read" in printed
    assert "LitMLP" in printed.partition("seconds")[2].partition("─")[2]
    assert "2 of 2 runs are finished" in printed
    assert "the same command goes on" not in printed


def test_runs_that_lack_the_ranking_metric_are_last_in_the_table(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("--grid", "model=LitLinear,LitMLP", "--seeds", "0")
    assert sweep(root, *words) == 0
    edit_record(root / "runs/e" / next(iter(records(root, "e"))), metrics={"test/loss": 0.5})
    capfd.readouterr()
    assert sweep(root, *words) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines() if line.strip().startswith("Lit")]
    assert [(row[0], "–" in row) for row in rows] == [("LitMLP", False), ("LitLinear", True)]


def test_every_group_has_mean_curves_of_its_own(root: Path, calls: Calls) -> None:
    words = ("--grid", "model=LitLinear", "--seeds", "0..5")
    assert sweep(root, *words) == 0
    for index, (name, record) in enumerate(records(root, "e").items()):
        ranks = [metric for metric in record["metrics"] if metric != "test/loss"]
        edit_record(root / "runs/e" / name, rank_by=ranks[index // 2])
    assert sweep(root, *words) == 0
    assert len([*(root / "runs/e").glob("* mean")]) == 3
