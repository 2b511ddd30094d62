"""A table through the command line: every architecture learns from it, for every task."""

from collections.abc import Callable
from pathlib import Path

import polars
import pytest
from conftest import Fit
from people_table import people
from tiny_data import writer

from experiments.__main__ import main


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.csv")


@pytest.mark.parametrize("model", ["LitLinear", "LitMLP", "LitTabM", "LitCNN", "LitRNN", "LitTransformer"])
def test_every_architecture_learns_from_numbers_and_categories(fit: Fit, table, model: str) -> None:
    path = table(people(400))
    words = f"--data TableData --data.path {path} --data.target label --data.drop [id] --data.batch_size 32"
    small = {"LitRNN": "--model.hidden 16", "LitTransformer": "--model.width 32 --model.num_layers 1"}.get(model, "")
    words += f" --model {model} {small} --model.optimizer.lr 0.01 --trainer.max_epochs 8 --seed_everything 0"
    record = fit(*words.split())
    assert record["metrics"]["test/auroc"] > 0.9
    assert record["data"] == "TableData"


@pytest.mark.parametrize(
    ("inputs", "target"),
    [("city,member", "label"), ("age", "[label]"), ("age,city", "[member,vip]"), ("age,city", "[income,score]")],
)
def test_every_task_with_and_without_numbers(fit: Fit, table, inputs: str, target: str) -> None:
    frame = people().with_columns(vip=polars.col("age").fill_null(0) > 50, score=polars.col("income") * 2)
    path = table(frame.select(*inputs.split(","), *target.strip("[]").split(",")))
    words = f"--data TableData --data.path {path} --data.target {target} --data.duplicates ignore"
    record = fit(*words.split(), "--model", "LitTransformer", "--model.width", "8", "--trainer.max_epochs", "1")
    assert record["status"] == "finished"


def test_settings_of_a_table_can_be_typed(fit: Fit, table) -> None:
    words = f"--data TableData --data.path {table(people())} --data.target label --data.drop id"
    words += " --data.types.age categorical --data.normalize robust --data.missing ['',Rome] --data.folds 4"
    words += " --data.fold 3 --model LitLinear --trainer.max_epochs 1"
    record = fit(*words.split())
    assert record["hyperparameters"]["data.types.age"] == "categorical"
    assert record["hyperparameters"]["data.fold"] == 3
    assert record["rows"]["test"] == 30
    again = fit("-c", str(record["path"] / "config.yaml"))
    assert again["fingerprints"] == record["fingerprints"]
    assert again["metrics"] == record["metrics"]


def test_a_checkpoint_alone_tests_a_table(fit: Fit, table, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"--data TableData --data.path {table(people())} --data.target label --data.drop id --model LitMLP"
    record = fit(*words.split(), "--trainer.max_epochs", "2")
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    accuracy = next(line for line in capfd.readouterr().out.splitlines() if "test/accuracy" in line)
    assert float(accuracy.strip("│ ").split("│")[1]) == pytest.approx(record["metrics"]["test/accuracy"])
