"""``sweep --search --folds K``: the value of a trial is the mean over folds, none of which has a test row."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import polars
import pytest
from in_process_sweep import Calls, calls, records
from sklearn.metrics import accuracy_score

from experiments.__main__ import main

optuna = pytest.importorskip("optuna", reason="this test needs optuna; pip install '.[search]' in the checkout")

__all__ = ["calls"]

WORDS = "--trust tiny_package --figures false --data Tiny --data.batch_size 10 --trainer.max_epochs 1 --model LitMLP"
SEARCH = "--search tpe --trials 3 --folds 2 --seeds 5,6 --experiment e"


def sweep(root: Path, space: Path, *words: str) -> int:
    line = ["sweep", *WORDS.split(), "--space", str(space), *words]
    return main([*line, "--trainer.default_root_dir", str(root)])


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text("model.optimizer.lr: {log: [1e-5, 1e-1]}\nmodel.dropout: {range: [0, 0.5]}\n")
    return path


def trials(root: Path) -> list[Any]:
    return list(optuna.load_study(study_name="search", storage=f"sqlite:///{root}/runs/e-search/study.db").trials)


def rows_of(run: Path, part: str) -> set[int]:
    return {*polars.read_parquet(run / "split.parquet").filter(part=part)["row"]}


def looks(root: Path) -> dict[str, list[dict[str, Any]]]:
    files = sorted(root.glob("runs/**/test_looks.jsonl"))
    lines = {file: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
    return {
        str(file.relative_to(root)): [{key: value for key, value in look.items() if key != "time"} for look in found]
        for file, found in lines.items()
    }


def test_a_trial_is_the_mean_over_its_folds_and_has_no_test_row(
    root: Path, space: Path, calls: Calls, tmp_path: Path
) -> None:
    def crash(run: Any) -> None:
        if run.name == "trial-0001-fold1":
            raise KeyboardInterrupt

    calls.before = crash
    with pytest.raises(KeyboardInterrupt):
        sweep(root, space, *SEARCH.split())
    calls.before = lambda run: None
    assert sweep(root, space, *SEARCH.split()) == 0
    made, finals = records(root, "e-search"), records(root, "e")
    assert [*made] == [f"trial-{number:04d}-fold{fold}" for number in range(3) for fold in range(2)]
    assert {record["status"] for record in made.values()} == {"untested"}
    tested = [rows_of(root / "runs/e" / name, "test") for name in finals]
    assert [record["seed"] for record in finals.values()] == [5, 6]
    for trial in trials(root):
        paths = [root / f"runs/e-search/trial-{trial.number:04d}-fold{fold}" for fold in range(2)]
        assert trial.value == pytest.approx(fmean(made[path.name]["validation"]["accuracy"] for path in paths))
        frames = [polars.read_parquet(path / "val_predictions.parquet") for path in paths]
        by_hand = [accuracy_score(each["target"], each[:, -3:].to_numpy().argmax(1)) for each in frames]
        assert trial.value == pytest.approx(fmean(by_hand))
        folds = [rows_of(path, "val") for path in paths]
        assert folds == [{*each["row"]} for each in frames]
        assert not folds[0] & folds[1]
        assert (folds[0] | folds[1]) == {*range(60)} - tested[0]
        assert all(rows_of(path, "train") == folds[1 - fold] for fold, path in enumerate(paths))
    assert tested[0] == tested[1]
    assert {look["run"] for found in looks(root).values() for look in found} == {*finals}
    # Another one that nothing stops has the same trials, ledger and numbers of the table.
    other = tmp_path / "other"
    assert sweep(other, space, *SEARCH.split()) == 0
    assert [(each.params, each.value) for each in trials(other)] == [(each.params, each.value) for each in trials(root)]
    assert looks(other) == looks(root)
    assert {name: record["metrics"] for name, record in records(other, "e").items()} == {
        name: record["metrics"] for name, record in finals.items()
    }


def test_each_fold_may_have_several_seeds(root: Path, space: Path, calls: Calls) -> None:
    assert sweep(root, space, *SEARCH.replace("--trials 3", "--trials 1 --trial_seeds 2").split()) == 0
    made = records(root, "e-search")
    assert [*made] == [f"trial-0000-fold{fold}-seed{seed}" for fold in range(2) for seed in (5, 6)]
    (trial,) = trials(root)
    assert trial.value == pytest.approx(fmean(record["validation"]["accuracy"] for record in made.values()))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data.val_fold [0,2]", "--data.val_fold is typed and is in --folds too"),
        ("--data.split_column part", "--data.split_column decides which rows validate, and so does --data.val_fold"),
        ("--resplit 2", "--resplit does not go with it"),
    ],
)
def test_options_that_choose_validation_rows_are_refused_in_a_sentence(
    root: Path, space: Path, words: str, message: str, calls: Calls, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sweep(root, space, *SEARCH.split(), *words.split())
    error = capfd.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (root / "runs").exists()
