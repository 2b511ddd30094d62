"""No share for val: all rows that are not tested are trained on, and the lowest train loss chooses the epoch."""

import json
from collections.abc import Callable
from pathlib import Path

import polars
import pytest
import torch
from conftest import Fit
from hypothesis import assume, given
from hypothesis import strategies as st
from in_process_sweep import Calls, calls
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_data import QUICK
from torch import Tensor

from datamodules import BreastCancer, DataError
from datamodules.splitting.grouping import (
    deal_rows,
    deal_units,
    split_by_time,
    split_fold,
    split_given,
    together,
)
from datamodules.splitting.splits import Split
from experiments.__main__ import main

__all__ = ["calls"]

EPOCHS = ["--trainer.max_epochs", "12", "--seed_everything", "0"]
TINY = ["--trust", "tiny_package", "--data", "Tiny", "--data.ratios", "[0.8,0,0.2]", "--data.batch_size", "10"]
RATIOS = st.floats(0.2, 0.8).map(lambda share: (share, 0.0, 1 - share))
SEEDS = st.integers(0, 2**40)


def check(split: Split, rows: Tensor) -> None:
    assert not len(split.val)
    assert split.val.dtype == torch.int64
    assert len(split.train)
    assert len(split.test)
    assert torch.equal(torch.cat(list(split)).sort().values, rows)
    assert all(torch.equal(part, part.sort().values) for part in split)


@QUICK
@given(st.lists(st.integers(0, 4), min_size=12, max_size=60), RATIOS, SEEDS, st.integers(2, 5))
def test_every_way_to_split_leaves_val_empty_and_loses_no_row(
    values: list[int], ratios: tuple[float, float, float], seed: int, folds: int
) -> None:
    value, rows = torch.tensor(values), torch.arange(len(values))
    counts = value.bincount()
    assume(len(counts.nonzero()) > 1)
    at_random = Split(*deal_rows(rows, None, ())(rows, ratios, seed))
    check(at_random, rows)
    assert abs(len(at_random.test) - ratios[2] * len(rows)) <= 1
    check(Split(*deal_units(together(value))(rows, ratios, seed)), rows)
    check(split_by_time(rows, value, ratios), rows)
    check(split_fold(rows, ratios, seed, deal_rows(rows, None, ()), folds, folds - 1), rows)
    names = ["test" if one == values[0] else "train" for one in values]
    given_parts = split_given(rows, names, ratios, seed, deal_rows(rows, None, ()))
    check(given_parts, rows)
    assert given_parts.test.tolist() == [row for row, name in enumerate(names) if name == "test"]
    if int(counts[counts > 0].min()) >= 2:  # one row of each class for each of the two parts
        by_class = Split(*deal_rows(rows, value, ())(rows, ratios, seed))
        check(by_class, rows)
        assert all(set(value[part].tolist()) == set(values) for part in (by_class.train, by_class.test))


def test_two_rows_of_a_class_and_two_groups_are_enough() -> None:
    rows = torch.arange(4)
    check(Split(*deal_rows(rows, torch.tensor([0, 0, 1, 1]), ())(rows, (0.5, 0, 0.5), 0)), rows)
    with pytest.raises(DataError, match="2 of each class, one for each part"):
        deal_rows(rows, torch.tensor([0, 0, 0, 1]), ())(rows, (0.5, 0, 0.5), 0)
    with pytest.raises(DataError, match="1 groups cannot be dealt to 2 parts"):
        deal_units(torch.zeros(4, dtype=torch.int64))(rows, (0.5, 0, 0.5), 0)
    with pytest.raises(DataError, match="2 different times, and there are 1"):
        split_by_time(rows, torch.zeros(4), (0.5, 0, 0.5))


def test_the_best_epoch_is_that_of_the_lowest_train_loss(fit: Fit) -> None:
    # At this rate the loss goes up and down, so that the last epoch is not the best by itself.
    record = fit(*TINY, "--model", "LitMLP", "--model.optimizer.lr", "0.3", *EPOCHS)
    assert record["status"] == "finished"
    assert record["rows"] == {"train": 48, "val": 0, "test": 12}
    assert record["validation"] is None
    events = EventAccumulator(str(record["path"])).Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert not any(tag.startswith("val/") for tag in events.Tags()["scalars"])
    lowest = losses.index(min(losses))
    assert lowest < len(losses) - 1
    best = torch.load(record["path"] / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == lowest
    split = polars.read_parquet(record["path"] / "split.parquet")
    assert set(split["part"]) == {"train", "test"}
    # One file alone repeats the test.
    assert (
        main(["test", "--trust", "tiny_package", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    )


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor val/loss", "EarlyStopping watches val/loss"),
        ("--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.monitor val/accuracy", "ModelCheckpoint watches"),
        ("--model.schedule.scheduler ReduceLROnPlateau", "--model.schedule watches val/loss"),
    ],
)
def test_what_watches_validation_rows_is_refused(words: str, who: str, refused: Callable[..., str]) -> None:
    message = refused(*TINY, "--model", "LitLinear", *words.split())
    assert who in message
    assert "no row validates; let it watch train/loss, or give val a share in --data.ratios" in message


def test_a_schedule_and_early_stopping_may_watch_the_train_loss(fit: Fit) -> None:
    plateau = "--model.schedule.monitor train/loss --model.schedule.scheduler ReduceLROnPlateau"
    patience = "--model.schedule.scheduler.patience 0 --model.schedule.scheduler.threshold 0.9"
    stop = "--trainer.callbacks+ EarlyStopping --trainer.callbacks.monitor train/loss"
    delta = "--trainer.callbacks.min_delta 10 --trainer.callbacks.patience 4"
    words = f"--model LitLinear {plateau} {patience} {stop} {delta} --trainer.max_epochs 20".split()
    record = fit(*TINY, *words)
    assert record["epochs"] == 5
    rates = [event.value for event in EventAccumulator(str(record["path"])).Reload().Scalars("train/lr")]
    # No loss is a tenth of the one before: every epoch but the first cuts the rate by ten, seen an epoch later.
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-5, 3e-6])


def test_data_alone_train_to_the_end(fit: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    record = fit("--data", "BreastCancer", "--data.ratios", "[0.8,0,0.2]", "--trainer.max_epochs", "2")
    assert "at most" not in capsys.readouterr().out
    assert record["rows"]["val"] == 0
    assert record["epochs"] == 2


def test_the_other_commands_go_without(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    here = ["--trainer.default_root_dir", str(root)]
    data = ["--data", "Diabetes", "--data.ratios", "[0.8,0,0.2]"]
    assert main(["inspect", *data]) == 0
    assert main(["floor", *data, *here]) == 0
    assert main(["fit", *data, "--model", "LitLinear", "--trainer.max_epochs", "1", *here]) == 0
    capfd.readouterr()
    assert main(["compare", str(root / "runs" / "diabetes"), "--format", "json"]) == 0
    (block,) = json.loads(capfd.readouterr().out)["blocks"]
    assert all(model in json.dumps(block) for model in ("LitLinear", "ridge", "majority"))
    (best,) = root.glob("runs/*/*/checkpoints/best.ckpt")
    with pytest.raises(SystemExit) as stopped:
        main(["validate", "--ckpt_path", str(best)])
    assert stopped.value.code == 2
    assert "no row validates" in capfd.readouterr().err


def test_a_search_is_refused(root: Path, calls: Calls, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    (tmp_path / "space.yaml").write_text("model.optimizer.lr: {log: [1e-5, 1e-1]}\n")
    words = ["--model", "LitLinear", "--search", "random", "--space", str(tmp_path / "space.yaml")]
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "sweep",
                "--data",
                "Diabetes",
                "--data.ratios",
                "[0.8,0,0.2]",
                *words,
                "--trainer.default_root_dir",
                str(root),
            ]
        )
    assert stopped.value.code == 2
    assert "a search chooses on validation rows" in capfd.readouterr().err
    assert not calls.started


def test_statistics_are_those_of_all_rows_that_are_not_tested() -> None:
    data = BreastCancer(ratios=(0.8, 0, 0.2))
    data.setup("fit")
    x = data.part("train")["x"].double()
    assert len(data.split.train) + len(data.split.test) == len(data.rows.y)
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(x.shape[1]).double(), atol=1e-5, rtol=0)
    assert data.val_dataloader() == []
