"""Batches, weights and metrics are equal on one, two and four processes that really communicate."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rank_runs
import torch
from fork_server import Server, server

COMMON = ["--trust", "rank_runs", "--trainer.accelerator", "cpu"]
FIT = ["fit", *COMMON, "--seed_everything", "1", "--figures", "false", "--trainer.callbacks+", "rank_runs.Seen"]
FIT += ["--trainer.max_epochs", "2", "--model.optimizer.lr", "0.01", "--experiment", "e"]


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


def fitted(forks: Server, folder: Path, run: str, words: str, processes: int = 1) -> tuple[Any, Any, Any]:
    """Rows of each step, weights, record."""
    rank_runs.finish(rank_runs.start(forks, [*FIT, *words.split(), "--run", run], folder, processes, SEEN=run))
    path = folder / "runs" / "e" / run
    weights = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return rank_runs.seen(folder, run), weights, json.loads((path / "record.json").read_text())


def differ(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert state.keys() == other.keys()
    return max(float((state[name].double() - other[name].double()).abs().max()) for name in state)


DOTS = "--data rank_runs.Dots --data.batch_size 24 "
# Attention does not depend on the keys' biases: their gradients are rounding errors, which Adam makes steps of.
ATTENTION = DOTS + "--model LitTransformer --model.width 8 --model.num_layers 1 --model.dropout 0 --model.optimizer SGD"
CASES = {
    "batch norm": (DOTS + "--model LitMLP --model.hidden [16] --model.dropout 0", (4,)),
    "convolutions": (DOTS + "--model LitCNN --model.channels [8,8] --model.dropout 0", (2,)),
    "attention": (ATTENTION, (2,)),
    "balanced": (DOTS + "--model LitLinear --data.sampler balanced", (2,)),
    "folds": (DOTS + "--model LitLinear --data.folds 5 --data.fold 3", (2,)),
}


@pytest.mark.parametrize("case", CASES)
def test_processes_train_what_one_does(forks: Server, tmp_path: Path, case: str) -> None:
    words, counts = CASES[case]
    if case == "folds":
        words = words.replace("rank_runs.Dots", "rank_runs.Untested")
    steps, weights, record = fitted(forks, tmp_path, "one", words)
    assert [len(rows) for rows in steps.values()][:6] == [24] * (len(steps) // 2 - 1) + [len(steps["4"])] + [24]
    for processes in counts:
        theirs, other, again = fitted(forks, tmp_path, f"on-{processes}", words, processes)
        assert theirs == steps
        assert differ(weights, other) < 1e-5
        assert again["metrics"] == pytest.approx(record["metrics"], abs=1e-5)
        assert again["step"] == {"batch_size": 24, "devices": processes, "accumulated": 1, "learning_rate": 0.01}


@pytest.mark.slow  # a compiler runs in two processes
def test_a_compiled_network_trains_on_two_processes_what_another_does_on_one(forks: Server, tmp_path: Path) -> None:
    words = CASES["convolutions"][0] + " --model.optimizer SGD"
    steps, weights, _ = fitted(forks, tmp_path, "one", words)
    theirs, other, _ = fitted(forks, tmp_path, "compiled", f"{words} --model.compile true", 2)
    assert theirs == steps
    assert differ(weights, other) < 1e-5


def test_processes_that_were_given_no_devices_take_their_launchers_and_without_a_seed_draw_one_together(
    forks: Server, tmp_path: Path
) -> None:
    words = [word for word in FIT if word not in ("--seed_everything", "1")]
    words += [*DOTS.split(), "--model", "LitMLP", "--run", "one"]
    # With other weights they would refuse.
    rank_runs.finish(rank_runs.start(forks, words, tmp_path, 2, types_devices=False, SEEN="one"))
    assert json.loads((tmp_path / "runs/e/one/record.json").read_text())["device"]["processes"] == 2


def test_streamed_rows_are_shared_out_too(forks: Server, tmp_path: Path) -> None:
    import polars

    frame = polars.DataFrame({f"x{column}": torch.randn(300).numpy() for column in range(3)})
    frame.with_columns(y=(frame["x0"] > 0).cast(polars.Int64)).write_parquet(tmp_path / "rows.parquet")
    words = "--data StreamedTable --data.path rows.parquet --data.target y --data.batch_size 24 --model LitLinear"
    steps, weights, record = fitted(forks, tmp_path, "one", words)
    theirs, other, again = fitted(forks, tmp_path, "two", words, 2)
    assert theirs == steps
    assert differ(weights, other) < 1e-5
    assert again["metrics"] == pytest.approx(record["metrics"], abs=1e-5)


@pytest.mark.parametrize(("accumulated", "processes"), [pytest.param(3, 1, marks=pytest.mark.slow), (2, 2)])
def test_accumulated_pieces_train_what_the_batch_does(
    forks: Server, tmp_path: Path, accumulated: int, processes: int
) -> None:
    words = f"{ATTENTION} --model.schedule.scheduler CosineAnnealingLR --model.schedule.warmup 2"
    steps, weights, record = fitted(forks, tmp_path, "one", words)
    pieces = f"{words} --trainer.accumulate_grad_batches {accumulated}"
    theirs, other, again = fitted(forks, tmp_path, "pieces", pieces, processes)
    assert theirs == steps
    assert differ(weights, other) < 1e-5
    assert again["metrics"] == pytest.approx(record["metrics"], abs=1e-5)
    assert (again["step"]["devices"], again["step"]["accumulated"]) == (processes, accumulated)


@pytest.mark.parametrize("rows", [1, 17, *(pytest.param(rows, marks=pytest.mark.slow) for rows in (3, 5, 1000))])
def test_every_row_is_evaluated_once_on_any_number_of_processes(forks: Server, tmp_path: Path, rows: int) -> None:
    words = f"{DOTS} --data.test_rows {rows} --model LitMLP --model.hidden [16]"
    fitted(forks, tmp_path, "one", words)
    best = str(next((tmp_path / "runs/e/one/checkpoints").glob("best*")))
    metrics = []
    for processes in (1, 2, 4):
        children = rank_runs.start(forks, ["test", *COMMON, "--ckpt_path", best], tmp_path, processes)
        rank_runs.finish(children)
        metrics.append(dict(re.findall(r"(test/\w+)\W+([-\w.+]+)", children[0].output.read_text())))
    assert len(metrics[0]) == 6
    for folder in (tmp_path / "runs", tmp_path / "runs/e/one"):  # one checkpoint, tested four times by 1 to 4 processes
        assert len((folder / "test_looks.jsonl").read_text().splitlines()) == 1
    for other in metrics[1:]:
        assert {name: float(value) for name, value in other.items()} == pytest.approx(
            {name: float(value) for name, value in metrics[0].items()}, abs=1e-6, nan_ok=True
        )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--data.differs data", "rank 1 has another data than rank 0"),
        pytest.param("--data.differs split", "rank 1 has another split", marks=pytest.mark.slow),
        pytest.param(
            "--data.differs statistics", "rank 1 has another statistics of the train rows", marks=pytest.mark.slow
        ),
        ("--trainer.callbacks+ rank_runs.OtherWeights", "rank 1 has another initial weights"),
        (
            "--model.schedule null --trainer.callbacks+ rank_runs.OtherRate",
            "rank 1 has the learning rate 0.5 and rank 0 0.01",
        ),
    ],
)
def test_processes_that_differ_are_told_in_one_sentence(
    forks: Server, tmp_path: Path, words: str, expected: str
) -> None:
    command = [*FIT, *f"{DOTS} --model LitLinear --run r {words}".split()]
    children = rank_runs.start(forks, command, tmp_path, 2, SEEN="seen")
    assert [child.wait() for child in children] == [2, 2]
    messages = [line for child in children for line in child.output.read_text().splitlines() if "error:" in line]
    assert len(messages) == 1
    assert expected in messages[0]


@pytest.mark.parametrize(("how", "rate"), [("linear", 0.02), ("sqrt", 0.01 * 2**0.5)])
def test_the_rate_is_scaled_with_the_devices_where_that_is_asked_for(
    forks: Server, tmp_path: Path, how: str, rate: float
) -> None:
    _, _, record = fitted(forks, tmp_path, "r", f"{DOTS} --model LitLinear --model.scale_lr {how}", 2)
    assert record["step"]["learning_rate"] == pytest.approx(rate)


def test_a_batch_that_does_not_divide_is_refused_with_the_sizes_that_do(refused: Any) -> None:
    words = ["--data", "Tiny", "--model", "LitLinear", "--data.batch_size", "10"]
    message = refused(*words, "--trainer.accumulate_grad_batches", "4")
    assert "choose 8 or 12, a multiple of 4" in message
