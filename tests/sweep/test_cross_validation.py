"""``sweep --folds K`` trains each configuration on K folds, and collects the out-of-fold predictions."""

import shutil
from pathlib import Path
from statistics import fmean, stdev

import polars
import pytest
from in_process_sweep import Calls, calls, records
from sklearn.metrics import accuracy_score, mean_squared_error

from experiments.__main__ import main

__all__ = ["calls"]

WORDS = "--trust tiny_package --figures false --data.batch_size 10 --trainer.max_epochs 1 --experiment e"


def sweep(root: Path, *words: str) -> int:
    return main(["sweep", *WORDS.split(), *words, "--trainer.default_root_dir", str(root)])


def cells(printed: str, label: str) -> list[str]:
    table = printed.split("cross-validation, 2 folds")[1]
    return next(line.split() for line in table.splitlines() if line.split()[:1] == [label])


def test_the_row_of_a_configuration_equals_scikit_learns(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = ["--data", "Tiny", "--folds", "2", "--grid", "model=LitLinear,LitMLP", "--seeds", "0..1"]
    assert sweep(root, *words) == 0
    printed = capfd.readouterr().out
    made = records(root, "e")
    assert sorted(made) == [f"{m}-fold{f}-seed{s}" for m in ("LitLinear", "LitMLP") for f in range(2) for s in (0, 1)]
    frame = polars.read_parquet(root / "runs" / "e" / "oof_predictions.parquet")
    for model in ("LitLinear", "LitMLP"):
        over_all = []
        for seed in (0, 1):
            rows = frame.filter(model=model, seed=seed)
            assert sorted(rows["row"]) == [*range(60)]
            predicted = rows[:, -3:].to_numpy().argmax(1)
            over_all.append(accuracy_score(rows["target"], predicted))
        names = [[f"{model}-fold{fold}-seed{seed}" for seed in (0, 1)] for fold in range(2)]
        by_fold = [fmean(made[name]["metrics"]["test/accuracy"] for name in pair) for pair in names]
        shown = [float(cell) for cell in cells(printed, model)[2:5]]
        assert shown == pytest.approx([fmean(by_fold), stdev(by_fold), fmean(over_all)], abs=6e-5)
        assert cells(printed, model)[5:] == ["60", "2", "2"]


def test_a_cross_validation_goes_on_and_says_which_folds_are_missing(
    root: Path, calls: Calls, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = ["--data", "TinyRegression", "--model", "LitLinear", "--grid", "model.optimizer.lr=1e-3,1e30"]
    line = [*words, "--folds", "2"]
    assert sweep(root, *line) == 3
    printed = capfd.readouterr().out
    assert "LitLinear-lr=1e30 seed 0: 0 of 2 folds are finished" in printed
    first = cells(printed, "LitLinear-lr=1e-3")
    frame = polars.read_parquet(root / "runs" / "e" / "oof_predictions.parquet")
    assert sorted(frame["row"]) == [*range(60)]
    rmse = mean_squared_error(frame["target"], frame["prediction"]) ** 0.5
    assert first[1] == "rmse"
    assert float(first[4].replace(",", "")) == pytest.approx(rmse, rel=1e-4)
    shutil.rmtree(root / "runs/e/LitLinear-lr=1e-3-fold1-seed0")
    calls.started.clear()
    assert sweep(root, *line) == 3
    assert [name for name in calls.started if "1e30" not in name] == ["LitLinear-lr=1e-3-fold1-seed0"]
    assert cells(capfd.readouterr().out, "LitLinear-lr=1e-3") == first
    with pytest.raises(SystemExit):
        sweep(root, *line[:-1], "4")
    assert "is there with data.folds 2, and this sweep has 4" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--folds 1", "at least 2 folds"),
        ("--folds 3 --data.folds 5", "--data.folds is typed and is in --folds too"),
        ("--folds 3 --grid data.fold=0,1", "--data.fold is typed and is in --folds too"),
        ("--folds 3 --resplit 2", "--resplit does not go with it"),
    ],
)
def test_contradictions_are_refused_in_a_sentence(
    words: str, message: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["sweep", "--data", "Digits", *words.split()])
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in printed
    assert len(printed.splitlines()) == 1
