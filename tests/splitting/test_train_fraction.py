"""A fraction of the train rows: nested, stratified, in whole groups, with the same validation and test rows."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import QUICK, small_data

from datamodules import DataError, DataModule, Digits, SeriesData, StreamedArrays, StreamedTable, TableData, TextData
from datamodules.splitting.split_options import SplitSettings, Splittable, split_data
from datamodules.splitting.splits import Split
from datamodules.splitting.train_fraction import Strata, divide_train, undivided
from experiments.__main__ import main

FRACTIONS = (0.05, 0.1, 0.25, 0.5, 0.8, 1.0)


def options(fraction: float, seed: int = 0, group: str | None = None) -> SplitSettings:
    return SplitSettings((0.7, 0.15, 0.15), seed, group, None, None, 0, train_fraction=fraction)


def divided(y: torch.Tensor, task: str, fraction: float, seed: int = 0, groups: list[int] | None = None) -> Split:
    about = None if groups is None else polars.DataFrame({"g": groups})
    rows = Splittable(torch.arange(len(y)), about=about, y=y)
    chosen = options(fraction, seed, groups and "g")
    whole, _ = split_data(rows, chosen)
    split, left_out = divide_train(whole, rows, Strata(task), chosen)
    assert all(torch.equal(*pair) for pair in zip(undivided(split, left_out), whole, strict=True))
    return split


def ids(rows: torch.Tensor) -> set[int]:
    return set(rows.tolist())


@given(st.integers(0, 9), st.lists(st.floats(0.25, 1), min_size=2, max_size=5), st.integers(40, 300))
@settings(QUICK, max_examples=40)
def test_a_smaller_fraction_is_inside_a_larger_one_and_has_its_share_of_each_class(seed, fractions, count) -> None:
    y = torch.arange(count) % 7 // 2  # classes of 2, 2, 2 and 1 rows in seven
    larger = divided(y, "multiclass", 1, seed)
    whole = larger.train
    for fraction in sorted(fractions, reverse=True):
        split = divided(y, "multiclass", fraction, seed)
        assert ids(split.train) <= ids(larger.train)
        assert torch.equal(split.val, larger.val)
        assert torch.equal(split.test, larger.test)
        assert abs(len(split.train) - fraction * len(whole)) <= 0.5 + 1e-9
        exact = fraction * y[whole].bincount(minlength=4)
        assert (y[split.train].bincount(minlength=4) - exact).abs().max() <= 1.5
        larger = split


@given(st.integers(0, 99), st.floats(0.2, 1))
@settings(QUICK, max_examples=30)
def test_a_fraction_of_a_regression_has_rows_of_each_tenth_of_the_target(seed: int, fraction: float) -> None:
    y = torch.distributions.Exponential(1.0).sample((400,))
    whole, kept = divided(y, "regression", 1, seed).train, divided(y, "regression", fraction, seed).train
    bins = numpy.argsort(numpy.argsort(y[whole].numpy())) * 10 // len(whole)
    counts = numpy.bincount(bins[torch.isin(whole, kept).numpy()], minlength=10)
    assert abs(counts - fraction * numpy.bincount(bins)).max() <= 1


def test_groups_stay_whole_and_their_number_follows_the_rows() -> None:
    groups = [index for index in range(60) for _ in range(index % 5 + 1)]
    y = torch.tensor([group % 2 for group in groups])
    before = divided(y, "binary", 1, groups=groups)
    for fraction in reversed(FRACTIONS[1:]):
        split = divided(y, "binary", fraction, groups=groups)
        owners = {groups[row] for row in split.train.tolist()}
        assert owners.isdisjoint(groups[row] for row in sorted(ids(before.train) - ids(split.train)))
        assert ids(split.train) <= ids(before.train)
        assert abs(len(split.train) - fraction * len(divided(y, "binary", 1, groups=groups).train)) <= 2.5
        before = split


def test_the_split_seed_chooses_other_rows_and_the_same_seed_the_same() -> None:
    y = torch.arange(200) % 2
    train = [divided(y, "binary", 0.2, seed).train for seed in (0, 0, 1)]
    assert torch.equal(train[0], train[1])
    assert not torch.equal(train[0], train[2])


def test_a_class_without_a_row_and_a_label_that_all_rows_have_are_one_sentence() -> None:
    y = torch.tensor([0] * 500 + [1] * 10)
    with pytest.raises(DataError, match=r"^the 4 train rows have no row of class 1.*larger --data.train_fraction than"):
        divided(y, "binary", 0.01)
    labels = torch.stack([y, 1 - y], dim=1)
    with pytest.raises(DataError, match=r"label 0 is the same in all 4 train rows; take a larger --data.train_frac"):
        divided(labels, "multilabel", 0.01)
    assert len(divided(labels, "multilabel", 0.5).train) == 178


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_number_that_is_no_fraction_is_refused(fraction: float, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"--data.train_fraction must be above 0 and up to 1"):
        Digits(train_fraction=fraction)
    written = {"nan": ".nan", "inf": ".inf"}.get(str(fraction), str(fraction))
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--data", "Digits", f"--data.train_fraction={written}"])
    error = capsys.readouterr().err
    assert "--data.train_fraction must be above 0 and up to 1" in error
    assert error.count("\n") == 1


# Data modules


def table(folder: Path, rows: int = 200) -> str:
    random = numpy.random.default_rng(0)
    x, colour = random.normal(size=rows), random.choice(["red", "green", "blue"], rows)
    label = numpy.where(x + (colour == "red") > 0, "yes", "no")
    text = [f"word{row} {'good' if yes == 'yes' else 'bad'} thing" for row, yes in enumerate(label)]
    polars.DataFrame({"x": x, "colour": colour, "text": text, "label": label}).write_parquet(folder / "t.parquet")
    return str(folder / "t.parquet")


def series(folder: Path) -> str:
    x = numpy.random.default_rng(0).normal(size=(60, 2, 24)).astype("float32")
    numpy.savez(folder / "s.npz", x=x, y=numpy.arange(60) % 2)
    return str(folder / "s.npz")


def arrays(folder: Path) -> dict[str, str]:
    numpy.save(folder / "x.npy", numpy.random.default_rng(0).normal(size=(4000, 3)).astype("float32"))
    numpy.save(folder / "y.npy", numpy.arange(4000) % 3)
    return {"path": str(folder / "x.npy"), "labels": str(folder / "y.npy")}


def made(kind: str, folder: Path, fraction: float) -> DataModule:
    data: DataModule
    match kind:
        case "table":
            data = TableData(table(folder), "label", drop="text", train_fraction=fraction)
        case "text":
            data = TextData(table(folder), ["text"], ["label"], train_fraction=fraction)
        case "windows":
            data = SeriesData(series(folder), window=8, train_fraction=fraction)
        case "images":
            data = Digits(train_fraction=fraction)
        case "streamed arrays":
            data = StreamedArrays(**arrays(folder), train_fraction=fraction)
        case "streamed table":
            data = StreamedTable(table(folder), "label", drop="text", cache=str(folder), train_fraction=fraction)
    data.setup("fit")
    return data


KINDS = ("table", "text", "windows", "images", "streamed arrays", "streamed table")


@pytest.mark.parametrize("kind", KINDS)
def test_data_of_every_kind_keep_their_fingerprints_and_evaluated_rows(kind: str, tmp_path: Path) -> None:
    whole, half, fifth = (made(kind, tmp_path, fraction) for fraction in (1.0, 0.5, 0.2))
    assert whole.fingerprints() == half.fingerprints() == fifth.fingerprints()
    rows = [ids(data.part("train")["row"]) for data in (whole, half, fifth)]
    assert rows[0] > rows[1] > rows[2]
    assert len(rows[1]) == pytest.approx(len(rows[0]) / 2, rel=0.15)
    assert [data.part_rows()["train"] for data in (whole, half, fifth)] == [len(each) for each in rows]
    for name in ("val", "test"):
        assert torch.equal(whole.part(name)["row"], fifth.part(name)["row"])
    assert "--data.train_fraction 0.2: the other train rows are left out" in fifth.notes
    assert not any("train_fraction" in note for note in whole.notes)
    if kind == "windows":
        assert all(row // 3 * 3 + step in rows[1] for row in rows[1] for step in range(3))
    batches = torch.cat([batch["row"] for batch in half.train_dataloader()])
    assert sorted(batches.tolist()) == sorted(rows[1])
    assert sum(map(int, half.class_counts())) == len(rows[1])


def test_statistics_medians_categories_and_vocabulary_are_those_of_the_rows_in_use(tmp_path: Path) -> None:
    data = made("table", tmp_path, 0.2)
    frame = polars.read_parquet(tmp_path / "t.parquet")[data.part("train")["row"].numpy()]
    assert data.statistics.center.item() == pytest.approx(frame["x"].mean())
    text = made("text", tmp_path, 0.2)
    assert text.vocab_size < made("text", tmp_path, 1.0).vocab_size
    streamed = made("streamed arrays", tmp_path, 0.2)
    x = numpy.load(tmp_path / "x.npy")[streamed.part("train")["row"].numpy()]
    assert streamed.statistics.center.flatten().tolist() == pytest.approx(x.mean(axis=0).tolist(), abs=1e-6)


def test_rows_that_are_left_out_change_no_statistic() -> None:
    x, y = torch.randn(100, 4), torch.arange(100) % 2
    first = small_data(x, y, train_fraction=0.3)
    first.setup("fit")
    changed = x.clone()
    changed[first.left_out] = 1e6
    second = small_data(changed, y, train_fraction=0.3)
    second.setup("fit")
    assert torch.equal(first.part("train")["x"], second.part("train")["x"])


def test_files_of_their_own_keep_val_and_test_and_types_come_from_all_train_rows(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{name}.csv") for name in ("train", "val", "test")]
    for seed, name in enumerate(names):
        x = numpy.random.default_rng(seed).integers(0, 50, 100)
        polars.DataFrame({"x": x, "label": numpy.where(x > 24, "b", "a")}).write_csv(name)
    text = Path(names[0]).read_text()
    Path(names[0]).write_text(text + "many,a\nmany,b\n")  # no number in two of 102 rows
    few, all_rows = (
        TableData(names[0], "label", val_path=names[1], test_path=names[2], types={}, train_fraction=fraction)
        for fraction in (0.1, 1.0)
    )
    assert few.part_rows() == {"train": 10, "val": 100, "test": 100}
    assert few.kinds == all_rows.kinds


def test_own_data_with_a_time_column_and_folds_are_divided(tmp_path: Path) -> None:
    table(tmp_path)
    frame = polars.read_parquet(tmp_path / "t.parquet").with_columns(day=polars.int_range(200))
    frame.write_parquet(tmp_path / "t.parquet")
    for split in ({"time": "day"}, {"folds": 4, "drop": ["day", "text"]}):
        given = {"drop": "text"} | split
        half, whole = (TableData(str(tmp_path / "t.parquet"), "label", train_fraction=f, **given) for f in (0.5, 1.0))
        assert ids(half.split.train) < ids(whole.split.train)
        assert torch.equal(half.split.test, whole.split.test)


# Checkpoints and runs


def test_a_checkpoint_restores_its_rows_and_fingerprints() -> None:
    x, y = torch.randn(100, 4), torch.arange(100) % 2
    trained, fresh, whole = (small_data(x, y, train_fraction=fraction) for fraction in (0.3, 0.3, 1.0))
    for data in (trained, fresh, whole):
        data.setup("fit")
    state = trained.state_dict()
    whole.load_state_dict(state)
    assert torch.equal(whole.split.train, trained.split.train)
    assert whole.fingerprints() == fresh.fingerprints()
    assert "left_out" not in small_data(x, y).state_dict()


def fit(run: str, *words: str) -> dict[str, Any]:
    words = ("--data", "Digits", "--model", "LitLinear", "--trainer.max_epochs=1", "--experiment=d", *words)
    assert main(["fit", *words, "--seed_everything=0", f"--run={run}", "--figures=false"]) == 0
    content: dict[str, Any] = json.loads(Path(f"runs/d/{run}/record.json").read_text())
    return content


def test_a_run_records_its_fraction_and_is_compared_with_one_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, part = fit("whole"), fit("part", "--data.train_fraction=0.25")
    assert part["rows"]["train"] == round(whole["rows"]["train"] / 4)
    assert part["hyperparameters"]["data.train_fraction"] == 0.25
    assert part["fingerprints"] == whole["fingerprints"]
    assert main(["test", "--ckpt_path", "runs/d/part"]) == 0
    assert json.loads(Path("runs/d/part/record.json").read_text())["metrics"] == pytest.approx(part["metrics"])
    capsys.readouterr()
    assert main(["compare", "runs/d"]) == 0
    table = capsys.readouterr().out
    assert "LitLinear train_fraction=0.25" in table
    assert "not compared" not in table
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--run=part", "--experiment=d", "--trainer.max_epochs=2", "--data.train_fraction=0.5"])
    assert "--data.train_fraction is 0.5, and the checkpoint was trained with 0.25" in capsys.readouterr().err


def test_a_fraction_of_1_is_the_data_without_the_setting() -> None:
    x, y = torch.randn(100, 4), torch.arange(100) % 2
    before, now = small_data(x, y), small_data(x, y, train_fraction=1.0)
    for data in (before, now):
        data.setup("fit")
    states = [data.state_dict() for data in (before, now)]
    assert states[0].keys() == states[1].keys()
    assert states[0]["fingerprints"] == states[1]["fingerprints"]
    assert before.notes == now.notes
    for name in ("train", "val", "test"):
        assert all(torch.equal(before.part(name)[key], now.part(name)[key]) for key in ("x", "y", "row"))
