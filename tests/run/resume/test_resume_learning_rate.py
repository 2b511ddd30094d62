"""A schedule that is resumed with another learning rate follows the schedule's formula with that rate."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer

from experiments.__main__ import main

EPOCHS, STEPS = 4, 3  # 42 train rows in batches of 14
PERIOD, WARMUP = 5, 4

FIT = "fit --trust test_resume_learning_rate --trust tiny_package --data tiny_package.Tiny --data.batch_size 14 "
FIT += "--model LitLinear --trainer.callbacks+ test_resume_learning_rate.Rates --figures false --experiment e "
FIT += "--seed_everything 1 --model.schedule.interval step --trainer.num_sanity_val_steps 0"


class Rates(Callback):
    """Writes the learning rate of each step."""

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        line = [trainer.global_step, trainer.optimizers[0].param_groups[0]["lr"]]
        with Path(os.environ["RATES"]).open("a") as file:
            file.write(json.dumps(line) + "\n")


def restarts(step: int) -> float:
    """Cosine with restarts (Loshchilov & Hutter 2017, equation 5), as a fraction of the rate."""
    return (1 + math.cos(math.pi * (step % PERIOD) / PERIOD)) / 2


def warmed_up_restarts(step: int) -> float:
    start = 1 / (WARMUP + 1)
    return start + (1 - start) * step / WARMUP if step < WARMUP else restarts(step - WARMUP)


def cosine(step: int) -> float:
    return (1 + math.cos(math.pi * step / (EPOCHS * STEPS))) / 2


RESTARTS = f"--model.schedule.scheduler CosineAnnealingWarmRestarts --model.schedule.scheduler.T_0 {PERIOD}"
SCHEDULES = {
    "restarts": (RESTARTS, restarts),
    "restarts after a warm-up": (f"{RESTARTS} --model.schedule.warmup {WARMUP}", warmed_up_restarts),
    "cosine": (
        f"--model.schedule.scheduler CosineAnnealingLR --model.schedule.scheduler.T_max {EPOCHS * STEPS}",
        cosine,
    ),
}


@pytest.mark.parametrize(
    ("schedule", "epochs_before"), [("restarts", 1), ("restarts after a warm-up", 2), ("cosine", 1)]
)
def test_the_schedule_is_that_of_the_other_rate(tmp_path: Path, schedule: str, epochs_before: int) -> None:
    options, formula = SCHEDULES[schedule]
    os.environ["RATES"] = str(tmp_path / "rates.jsonl")  # conftest restores the environment
    fit = [*FIT.split(), *options.split(), "--trainer.default_root_dir", str(tmp_path)]
    assert main([*fit, "--run", "one", "--model.optimizer.lr", "0.1", "--trainer.max_epochs", str(epochs_before)]) == 0
    more = ["--ckpt_path", str(tmp_path / "runs/e/one/checkpoints/last.ckpt"), "--trainer.max_epochs", str(EPOCHS)]
    assert main([*fit, "--run", "two", "--model.optimizer.lr", "0.03", *more]) == 0
    found = dict(map(json.loads, (tmp_path / "rates.jsonl").read_text().splitlines()))
    expected = {step: (0.1 if step < epochs_before * STEPS else 0.03) * formula(step) for step in range(EPOCHS * STEPS)}
    assert found == pytest.approx(expected, abs=1e-9)
