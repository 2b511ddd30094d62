"""Blocks of steps that nobody asked for: where they are taken, how long they are, and that they change no number."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from small import model_for, quiet_trainer, small_data
from test_resume import assert_equal

from experiments.__main__ import main
from lit_models import LitMLP, blocks
from lit_models.pace import Pace

WORDS = (
    "fit --data Digits --data.batch_size 8 --model LitMLP --model.schedule.scheduler OneCycleLR --trainer.max_epochs 2"
)
WORDS += " --seed_everything 3 --experiment e --figures false --trainer.accelerator cpu"


class Counted(Callback):
    """Counts batches, as callbacks of people do."""

    batches = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *more: Any) -> None:
        type(self).batches += 1


class OwnStep(LitMLP):
    """Logs every step's loss."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("own", loss)
        return loss


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each block of more than one has taken ahead."""
    counts: list[int] = []
    take = blocks.take_ahead

    def counting(*words: Any) -> list[blocks.Step]:
        steps = take(*words)
        counts.append(len(steps))
        return steps

    monkeypatch.setattr(blocks, "take_ahead", counting)
    return counts


def test_steps_go_in_blocks_by_themselves_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    main([*WORDS.split(), "--run", "single", "--model.steps_per_execution", "1"])
    assert not taken
    main([*WORDS.split(), "--run", "auto"])
    assert sum(taken) > 150  # of 2 x 158 steps
    one, other = (
        torch.load(tmp_path / f"runs/e/{run}/checkpoints/last.ckpt", weights_only=True) for run in ("single", "auto")
    )
    for part in ("global_step", "state_dict", "optimizer_states", "lr_schedulers", "loops"):
        assert_equal(one[part], other[part], part)


def fitted(model: type[LitMLP] = LitMLP, **settings: Any) -> None:
    rows = torch.arange(60)
    data = small_data(torch.randn(60, 4), rows % 3, batch_size=6)
    quiet_trainer(max_epochs=2, **settings).fit(model_for(data, model), data)


def test_blocks_are_taken_in_any_trainer(taken: list[int]) -> None:
    fitted()
    assert taken


@pytest.mark.parametrize("settings", [{"profiler": "simple"}, {"accumulate_grad_batches": 2}, {"model": OwnStep}])
def test_who_looks_at_steps_sees_single_ones(taken: list[int], settings: dict[str, Any]) -> None:
    fitted(**settings)
    assert not taken


def test_a_callback_that_looks_at_batches_sees_each(taken: list[int]) -> None:
    Counted.batches = 0
    fitted(callbacks=[Counted()])
    assert not taken
    assert Counted.batches == 2 * 7


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0001, 500, 4000), (0.01, 8, 32), (0.15, 1, 2), (5.0, 1, 1)])
def test_a_block_lasts_about_a_fifth_of_a_second(
    monkeypatch: pytest.MonkeyPatch, seconds: float, fewest: int, most: int
) -> None:
    now = 1.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    pace, steps = Pace(0), 0
    pace.restart()
    for block in range(30):
        steps = pace.next()
        now += steps * seconds + (7.0 if block == 15 else 0.0)  # once, the machine does something else
    assert fewest <= steps <= most
    assert 0.1 <= steps * seconds <= 0.3 or steps == 1
    pace.restart()
    now += 100
    assert pace.next() == steps
