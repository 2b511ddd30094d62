"""Python's, numpy's and torch's generators continue after a resume where the checkpoint left them."""

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from experiments.__main__ import main

GENERATORS = ("python", "numpy", "torch")
EPOCHS, STEPS = 4, 3  # 42 train rows in batches of 14

FIT = "fit --trust test_resume_generators --trust tiny_package --data tiny_package.Tiny --data.batch_size 14 "
FIT += "--model LitLinear --trainer.callbacks+ test_resume_generators.Draws --figures false --experiment e "
FIT += f"--trainer.max_epochs {EPOCHS} --save_every_n_steps 1"


class Draws(Callback):
    """Draws from every generator after each step, and raises after the step that ``STOP_AFTER`` names."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        drawn = {"python": random.random(), "numpy": float(numpy.random.random()), "torch": float(torch.rand(()))}
        with Path(os.environ["DRAWS"]).open("a") as file:
            file.write(json.dumps({"step": trainer.global_step, **drawn}) + "\n")

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if os.environ.get("STOP_AFTER") == str(trainer.global_step):
            raise ZeroDivisionError("a defect in the user's callback")


def draws(folder: Path, *options: str) -> dict[int, dict[str, float]]:
    """Returns the numbers that a fit draws, by step."""
    file = folder / f"{len(list(folder.iterdir()))}.jsonl"
    os.environ["DRAWS"] = str(file)  # conftest restores the environment
    command = [*FIT.split(), *options, "--trainer.default_root_dir", str(folder)]
    if "STOP_AFTER" in os.environ:
        with pytest.raises(SystemExit):
            main(command)
    else:
        assert main(command) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {line.pop("step"): line for line in lines}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, float]]:
    """Returns the draws of an uninterrupted run, by step."""
    return draws(tmp_path_factory.mktemp("whole"), "--seed_everything", "1", "--run", "one")


@pytest.mark.parametrize("stop_after", [STEPS, STEPS + 1], ids=["between epochs", "in an epoch"])
def test_a_resumed_run_draws_what_the_uninterrupted_run_draws(
    tmp_path: Path, whole: dict[int, dict[str, float]], stop_after: int
) -> None:
    os.environ["STOP_AFTER"] = str(stop_after)
    seeded = ("--seed_everything", "1")
    before = draws(tmp_path, *seeded, "--run", "one")
    del os.environ["STOP_AFTER"]
    checkpoint = tmp_path / "runs/e/one/checkpoints/last.ckpt"
    after = draws(tmp_path, *seeded, "--run", "two", "--ckpt_path", str(checkpoint))
    assert [*before] == list(range(1, stop_after + 1))
    assert [*after] == list(range(stop_after + 1, EPOCHS * STEPS + 1))
    for name in GENERATORS:
        resumed = {step: drawn[name] for step, drawn in (before | after).items()}
        assert resumed == {step: drawn[name] for step, drawn in whole.items()}, name
