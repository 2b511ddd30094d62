"""Texts through the command line: every architecture learns from them, for every task."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy
import polars
import pytest
import torch
from conftest import Fit
from opinion_texts import opinions
from tiny_data import writer

from datamodules.bundled import wheels
from datamodules.bundled.reviews import MEMBER
from experiments.__main__ import main
from lit_models.stems.sequence import MeanOfTokensAndPairs

Write = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a file and gives its path, see ``writer``."""
    return writer(tmp_path, "my.parquet")


def test_a_checkpoint_alone_tests_texts(fit: Fit, file: Write, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"--data TextData --data.path {file(opinions())} --data.text text --data.target label --model LitLinear"
    record = fit(*words.split(), "--trainer.max_epochs", "2")
    assert record["hyperparameters"]["data.normalize"] == "none"
    assert any("texts cut behind" in note for note in record["notes"])
    capfd.readouterr()
    assert main(["test", "--ckpt_path", str(record["path"] / "checkpoints" / "best.ckpt")]) == 0
    accuracy = next(line for line in capfd.readouterr().out.splitlines() if "test/accuracy" in line)
    assert float(accuracy.strip("│ ").split("│")[1]) == pytest.approx(record["metrics"]["test/accuracy"])


def test_pairs_of_tokens_let_a_linear_model_see_order(fit: Fit, file: Write) -> None:
    draw = numpy.random.default_rng(0)
    order = draw.integers(0, 2, 300)
    negated = [("good , not bad" if one else "bad , not good") for one in order]
    texts = [f"{one} {draw.choice(['film', 'food', 'song'])}" for one in negated]
    frame = polars.DataFrame({"text": texts, "label": numpy.where(order == 1, "yes", "no")})
    words = f"--data TextData --data.path {file(frame)} --data.text text --data.target label --model LitLinear"
    more = "--data.tokenizer word --data.duplicates ignore --trainer.max_epochs 15 --model.optimizer.lr 0.02"
    accuracy = {
        buckets: fit(*words.split(), *more.split(), "--model.pair_buckets", buckets)["metrics"]["test/accuracy"]
        for buckets in ("0", "1000")
    }
    assert accuracy["0"] < 0.7
    assert accuracy["1000"] == 1


def test_pairs_of_tokens_are_refused_where_there_are_none(refused: Callable[..., str]) -> None:
    message = refused("--data", "Digits", "--model", "LitLinear", "--model.pair_buckets", "10")
    assert "pair_buckets are at least 1, for pairs of a text's tokens" in message


def test_the_mean_of_tokens_and_pairs_is_that_of_the_definition() -> None:
    module = MeanOfTokensAndPairs(9, 4, buckets=50)
    assert not module.pairs.weight.any()
    torch.nn.init.normal_(module.pairs.weight)
    found = module(torch.tensor([[2, 3, 4], [5, 6, 0], [7, 0, 0]]), torch.tensor([3, 2, 1]))
    for row, ids in zip(found, ([2, 3, 4], [5, 6], [7]), strict=True):
        pairs = [module.pairs.weight[(a * 1_000_003 + b * 7_919) % 50] for a, b in pairwise(ids)]
        expected = torch.stack([*module.embedding.weight[ids], *pairs]).mean(dim=0)
        assert torch.allclose(row, expected, atol=1e-6)
    alone = module(torch.tensor([[2, 3, 4]]))
    assert torch.allclose(alone, found[:1], atol=1e-6)


SMALL = {
    "LitLinear": "--model.optimizer.lr 0.1",
    "LitMLP": "--model.hidden [32]",
    "LitCNN": "--model.channels [32] --model.kernel_size 3 --model.pool_blocks 0",
    "LitRNN": "--model.hidden 16",
    "LitTransformer": "--model.width 32 --model.num_layers 1",
}


@pytest.mark.parametrize("model", SMALL)
def test_every_architecture_learns_from_texts(fit: Fit, file: Write, model: str) -> None:
    words = f"--data TextData --data.path {file(opinions(300))} --data.text text --data.target label"
    words += f" --data.batch_size 32 --model {model} --model.optimizer.lr 0.02 {SMALL[model]}"
    record = fit(*words.split(), "--trainer.max_epochs", "10", "--seed_everything", "0")
    assert record["metrics"]["test/auroc"] > 0.95


@pytest.mark.usefixtures("widedeep")
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=() if model in ("LitLinear", "LitTransformer") else pytest.mark.slow)
        for model in SMALL
    ],
)
def test_every_architecture_trains_on_real_reviews(fit: Fit, file: Write, model: str) -> None:
    content = polars.read_parquet(wheels.read_member(wheels.WIDEDEEP, MEMBER))
    path = file(content.head(300))
    words = ["--data", "TextData", "--data.path", path, "--data.text", '["Title", "Review Text"]']
    words += ["--data.target", "Recommended IND", "--data.tokenizer", "word", "--data.max_length", "64"]
    words += ["--model", model, *SMALL[model].split(), "--trainer.max_epochs", "2", "--seed_everything", "0"]
    record = fit(*words)
    assert record["status"] == "finished"
    assert record["rows"] == {"train": 210, "val": 45, "test": 45}
    assert record["metrics"]["test/loss"] < 1


@pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])
def test_every_other_task(fit: Fit, file: Write, task: str) -> None:
    columns = {
        "multiclass": {"y": polars.Series([f"c{row % 3}" for row in range(90)])},
        "multilabel": {"y": polars.Series([row % 2 for row in range(90)]), "z": [row // 2 % 2 for row in range(90)]},
        "regression": {"y": polars.Series([row / 7 for row in range(90)])},
    }[task]
    path = file(opinions(90).select("text").with_columns(**{k: polars.Series(v) for k, v in columns.items()}))
    words = f"--data TextData --data.path {path} --data.text text --data.target [{','.join(columns)}]"
    record = fit(*words.split(), "--model", "LitLinear", "--trainer.max_epochs", "1")
    assert record["task"] == task
