"""Two processes that start at the same moment on one run: one goes, the other is refused, and nothing is mixed."""

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from disturbed_runs import write_inputs
from fork_server import Child, Server, server

DATA = "--data TableData --data.path table.csv --data.target label --data.batch_size 16 --figures false"
DATA += " --model.schedule null"
FIT = f"fit {DATA} --model LitLinear --trainer.max_epochs 3 --seed_everything 0 --experiment e --run LitLinear-seed0"
SWEEP = f"sweep {DATA} --model LitLinear --trainer.max_epochs 3 --experiment e --seeds 0"
RUN = Path("runs/e/LitLinear-seed0")
REFUSALS = ("is in progress", "is there already and finished", "a sweep is at")

PAIRS = {
    "fit and fit": (FIT, FIT),
    "fit and another fit": (FIT, f"{FIT} --model.optimizer.lr 0.5"),
    "resume and resume": (FIT, FIT),
    "resume and another resume": (FIT, f"{FIT} --model.optimizer.lr 0.5"),
    "sweep and sweep": (SWEEP, SWEEP),
    "fit and sweep": (FIT, SWEEP),
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Server]:
    with server() as running:
        yield running


def interrupt(forks: Server, folder: Path) -> None:
    """Leaves a run that can be resumed."""
    child = forks.start(FIT.replace("max_epochs 3", "max_epochs 1").split(), folder)
    assert child.wait() == 0, child.output.read_text()
    record = folder / RUN / "record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "interrupted"}))


def check(child: Child, code: int, verb: str) -> bool:
    """Returns True if a process has trained the run; asserts that it was refused otherwise, or that a sweep waited."""
    printed = child.output.read_text()
    assert "Traceback" not in printed, printed
    if code == 0:
        waited = "waiting for it" in printed or "1 of 1 runs are finished already" in printed
        return not (verb == "sweep" and waited)
    assert code == 2, printed
    logs = [path.read_text() for path in child.output.parent.glob("runs/e/.sweep/*.log")] if verb == "sweep" else []
    assert any(sentence in text for sentence in REFUSALS for text in (printed, *logs)), printed
    return False


def race(forks: Server, folder: Path, kind: str, draw: random.Random) -> None:
    write_inputs(folder)
    if kind.startswith("resume"):
        interrupt(forks, folder)
    start = time.time() + 0.05
    pair = [
        forks.start(
            words.split(),
            folder,
            START_AT=str(start + draw.uniform(0, draw.choice((0.0, 0.02, 0.2)))),
            SWEEP_HERE="1",
            **({"HOST": f"node{index}"} if os.getuid() == 0 and draw.random() < 0.5 else {}),
        )
        for index, words in enumerate(PAIRS[kind])
    ]
    trained = [check(child, child.wait(), words.split()[0]) for child, words in zip(pair, PAIRS[kind], strict=True)]
    output = "\n".join(child.output.read_text() for child in pair)
    assert sum(trained) == 1, f"{kind} {trained}\n{output}"
    record = json.loads((folder / RUN / "record.json").read_text())
    content = torch.load(folder / RUN / "checkpoints/last.ckpt", weights_only=True)
    assert (record["status"], record["epochs"]) == ("finished", 3), output
    rate = record["hyperparameters"]["model.optimizer.lr"]
    assert content["optimizer_states"][0]["param_groups"][0]["lr"] == rate
    assert f"lr: {rate}\n" in (folder / RUN / record["config"]).read_text()
    assert content["evenhand_config"] == (folder / RUN / record["config"]).read_text()
    assert not [path.name for path in (folder / "runs/e").iterdir() if path.name.endswith((".lock", ".new"))]


def run_pairs(forks: Server, folder: Path, count: int) -> None:
    draw = random.Random(27)
    for number in range(count):
        here = folder / str(number)
        here.mkdir()
        race(forks, here, [*PAIRS][number % len(PAIRS)], draw)
        shutil.rmtree(here)


def test_one_of_two_goes_and_the_other_is_refused(forks: Server, tmp_path: Path) -> None:
    run_pairs(forks, tmp_path, len(PAIRS))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_pairs(forks: Server, tmp_path: Path) -> None:
    run_pairs(forks, tmp_path, 200)
