"""Mixup trains on mixtures of two rows, by its paper's arithmetic, and leaves everything else as it was."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rank_runs
import torch
from conftest import Fit
from fork_server import Server, server
from hypothesis import given
from hypothesis import strategies as st
from resumed_runs import assert_equal, state
from tiny_data import QUICK
from torch import Tensor, nn
from torch.nn import functional

from experiments.run.checkpoints.checkpoint_io import read
from lit_models import ConfigError, FocalLoss, LitLinear, LitMLP, LitModel, LitRNN

FACTS: dict[str, Any] = {"modality": "table", "input_shape": (4,), "num_outputs": 3}
TARGETS = {
    "multiclass": torch.arange(7) % 3,
    "multilabel": (torch.arange(21) % 2).view(7, 3),
    "regression": torch.linspace(-2, 5, 21).view(7, 3),
}


def drawn(seed: int, alpha: float, rows: int) -> tuple[float, Tensor]:
    """The share and the order that a batch gets from the generator."""
    torch.manual_seed(seed)
    one = torch.tensor(alpha, dtype=torch.float64)
    share = float(torch.distributions.Beta(one, one).sample())
    return share, torch.randperm(rows)


def step(model: LitModel, batch: dict[str, Tensor], seed: int) -> Tensor:
    torch.manual_seed(seed)
    return model.training_step(batch, 0)


@QUICK
@given(seed=st.integers(0, 999), alpha=st.sampled_from([0.1, 0.2, 1.0, 4.0]))
def test_cross_entropy_is_that_of_the_mixed_rows_and_targets(seed: int, alpha: float) -> None:
    torch.manual_seed(0)
    model = LitLinear(task="multiclass", mixup=alpha, **FACTS)
    x, y = torch.randn(7, 4), TARGETS["multiclass"]
    share, order = drawn(seed, alpha, 7)
    mixed = share * x + (1 - share) * x[order]
    hot = functional.one_hot(y, 3).float()
    expected = functional.cross_entropy(model(mixed), share * hot + (1 - share) * hot[order])
    torch.testing.assert_close(step(model, {"x": x, "y": y}, seed), expected)


def test_the_squared_error_has_the_gradient_of_the_mixed_target() -> None:
    torch.manual_seed(0)
    model = LitLinear(task="regression", mixup=1.0, **FACTS)
    model.task.set_target_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 1.0, 4.0]))
    x, y = torch.randn(7, 4), TARGETS["regression"]
    share, order = drawn(5, 1.0, 7)
    target = model.task.loss_target(y)
    outputs = model(share * x + (1 - share) * x[order])
    expected = torch.autograd.grad(
        functional.mse_loss(outputs, share * target + (1 - share) * target[order]), [*model.parameters()]
    )
    found = torch.autograd.grad(step(model, {"x": x, "y": y}, 5), [*model.parameters()])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("task", "loss"),
    [("multiclass", FocalLoss()), ("multilabel", None), ("regression", nn.HuberLoss()), ("regression", nn.L1Loss())],
)
def test_any_loss_of_any_task_is_weighed(task: Any, loss: nn.Module | None) -> None:
    torch.manual_seed(0)
    model = LitLinear(task=task, loss=loss, mixup=0.5, **FACTS)
    x, target = torch.randn(7, 4), model.task.loss_target(TARGETS[task])
    share, order = drawn(5, 0.5, 7)
    outputs = model(share * x + (1 - share) * x[order])
    expected = share * model.loss(outputs, target) + (1 - share) * model.loss(outputs, target[order])
    torch.testing.assert_close(step(model, {"x": x, "y": TARGETS[task]}, 5), expected)


def test_series_of_several_lengths_are_mixed_over_the_longer_one() -> None:
    torch.manual_seed(0)
    facts = {"task": "multiclass", "modality": "series", "input_shape": (2, 9), "num_outputs": 3}
    model = LitRNN(**facts, hidden=4, mixup=1.0, dropout=0.0)
    rows, y = [torch.randn(2, length) for length in (9, 3, 1, 5, 4, 2, 6)], TARGETS["multiclass"]
    share, order = drawn(5, 1.0, 7)
    losses = []
    for one, other, first, second in zip(rows, [rows[place] for place in order], y, y[order], strict=True):
        longest = max(one.shape[1], other.shape[1])
        both = [functional.pad(row, (0, longest - row.shape[1])) for row in (one, other)]
        output = model((share * both[0] + (1 - share) * both[1]).unsqueeze(0))[0]
        losses.append(
            share * functional.cross_entropy(output, first) + (1 - share) * functional.cross_entropy(output, second)
        )
    for filling in (0.0, torch.nan):
        x = torch.stack([functional.pad(row, (0, 9 - row.shape[1]), value=filling) for row in rows])
        batch = {"x": x, "y": y, "lengths": torch.tensor([row.shape[1] for row in rows])}
        before = {name: value.clone() for name, value in batch.items()}
        torch.testing.assert_close(step(model, batch, 5), torch.stack(losses).mean())
        torch.testing.assert_close(batch, before, equal_nan=True)  # rows in memory are no batch's to change


def test_at_nothing_it_draws_nothing() -> None:
    torch.manual_seed(0)
    model = LitMLP(task="multiclass", hidden=[8], dropout=0.0, **FACTS)
    before = torch.get_rng_state()
    model.training_step({"x": torch.randn(7, 4, generator=torch.Generator()), "y": TARGETS["multiclass"]}, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.mixup is None


START = "--data Tiny --model LitMLP --model.hidden [8] --data.batch_size 10 --trainer.max_epochs 3 --seed_everything 0"


def test_a_run_with_mixup_is_another(fit: Fit) -> None:
    plain = fit(*START.split(), "--run", "plain")
    zero = fit(*START.split(), "--model.mixup", "0", "--run", "zero")
    mixed = fit(*START.split(), "--model.mixup", "0.4", "--run", "mixed")
    assert zero["metrics"] == plain["metrics"]
    assert mixed["metrics"]["test/loss"] != plain["metrics"]["test/loss"]
    assert read(mixed["path"] / "checkpoints/best.ckpt")["hyper_parameters"]["mixup"] == 0.4


def test_rows_are_evaluated_as_they_are(fit: Fit) -> None:
    words = "--data Tiny --model LitLinear --model.optimizer SGD --model.optimizer.lr 0 --trainer.max_epochs 1"
    start = f"{words} --seed_everything 0".split()
    plain, mixed = fit(*start, "--run", "plain"), fit(*start, "--model.mixup", "1", "--run", "mixed")
    assert mixed["metrics"] == plain["metrics"]
    assert mixed["validation"] == plain["validation"]


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


WORDS = """fit --trust faults --data faults.Waves --data.batch_size 16 --model LitCNN --model.channels [4,4]
--model.mixup 0.4 --trainer.max_epochs 3 --seed_everything 3 --experiment e --run one --trainer.callbacks+ faults.Pause
--save_every_n_steps 2 --figures false"""


def run(forks: Server, folder: Path, steps: int) -> dict[str, Any]:
    child = forks.start([*WORDS.split(), "--model.steps_per_execution", str(steps)], folder)
    assert child.wait() == 0, child.output.read_text()
    return state(folder / "runs" / "e" / "one")


def test_a_killed_run_goes_on_bit_for_bit_in_blocks_of_any_size(forks: Server, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    expected = run(forks, tmp_path / "whole", 1)
    child = forks.start(WORDS.split(), tmp_path / "killed", PAUSE_AT="step 11")
    child.wait_for(tmp_path / "killed" / "reached")
    child.kill()
    assert_equal(run(forks, tmp_path / "killed", 5), expected)


def test_processes_mix_their_own_rows_and_keep_the_same_weights(forks: Server, tmp_path: Path) -> None:
    words = """fit --trust rank_runs --data rank_runs.Dots --data.batch_size 24 --model LitMLP --model.mixup 0.4
    --trainer.accelerator cpu --trainer.max_epochs 2 --seed_everything 1 --experiment e --run one --figures false"""
    children = rank_runs.start(forks, words.split(), tmp_path, 2)
    rank_runs.finish(children)  # weights that differ between processes stop a run
    record = json.loads((tmp_path / "runs/e/one/record.json").read_text())
    assert record["step"]["devices"] == 2
    assert math.isfinite(record["metrics"]["test/loss"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--data tiny_package.Tiny --model.mixup -1", "--model.mixup must be at least 0 and finite"),
        ("--data tiny_package.Tiny --model.mixup .nan", "--model.mixup must be at least 0 and finite"),
        ("--data tiny_package.Tiny --model.mixup .inf", "--model.mixup must be at least 0 and finite"),
    ],
)
def test_a_share_that_cannot_be_is_refused(refused: Any, words: str, reason: str) -> None:
    assert reason in refused("--model", "LitLinear", *words.split())


def test_categories_and_tokens_are_no_numbers_to_mix() -> None:
    text = {"task": "binary", "modality": "text", "input_shape": (7,), "num_outputs": 1, "vocab_size": 9}
    with pytest.raises(ConfigError, match=r"a text's tokens cannot be mixed; leave --model.mixup out"):
        LitLinear(**text, mixup=0.2)
    table = {"task": "binary", "modality": "table", "input_shape": (2,), "num_outputs": 1, "cardinalities": (4,)}
    with pytest.raises(ConfigError, match=r"a table with categorical columns cannot be mixed; leave"):
        LitLinear(**table, mixup=0.2)
