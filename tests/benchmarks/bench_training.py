"""How long an epoch takes with everything on, beside a loop written by hand: ``make bench``.

``python tests/benchmarks/bench_training.py [--only mlp64 cnn ...] [--epochs N] [--threads N] [--peers]`` prints a table
in Markdown. Everything runs in one process, and ahead of each epoch of ours each rival has one of its own, so that what
else the machine does meets all of them; the ratio of two epochs is that of such a pair, and the table has the median of
the ratios and their quartiles, by the process's own CPU time at one thread and by the wall's clock at more. The last
columns say how many times as long as ours the template and the peers take. What ``fit`` tells malloc it keeps to itself
here, since the rivals of its process would have that too.

- ours: ``evenhand fit`` as anybody calls it, on a CPU, with metrics, TensorBoard, both checkpoints, the progress and a
  cosine schedule by epochs. An epoch ends where the next begins, everything that is done at its end included.
- hand-written: a loop over tensors in memory, the same network, optimizer (fused), numerics and schedule; after each
  epoch the loss and the accuracy of the validation rows.
- usual network: the same loop with the network as it is usually written.
- template: ``DataLoader(TensorDataset)`` and a metric collection by ``forward`` in every step, in Lightning. Of its
  epochs and of the peers' two count.
"""

import argparse
import contextlib
import copy
import io
import logging
import os
import platform
import statistics
import sys
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.optim import AdamW

sys.path.insert(0, str(Path(__file__).parent))

import peers
import workloads
from loops import HandWritten, Template, usual_network
from workloads import WORKLOADS, Clock, Rival, Seconds

from experiments.__main__ import main
from experiments.run import cpu_speed
from lit_models.training.optimizer import build_optimizer

cpu_speed._mallopt = lambda name, value: None
EPOCHS = {"mlp64": 9, "mlp1024": 9, "plr": 9, "tabm": 9, "cnn": 5, "lstm": 5, "transformer": 5}
START = """fit --trust workloads --data workloads.Made --data.duplicates ignore --trainer.callbacks+ workloads.Clock
--model.schedule.scheduler CosineAnnealingLR --model.schedule.interval epoch --trainer.accelerator cpu
--seed_everything 1 --figures false"""
BLOCK = "--model.steps_per_execution"
FAST = Path(__file__).parents[2] / "experiments/configs/trainer/fast.yaml"


def rivals(name: str, epochs: int, names: list[str], folder: str, trainer: Any, model: Any) -> dict[str, Rival]:
    """Returns the rivals of a workload, with the run's rows, and with its weights if the network is equal."""
    load, data = WORKLOADS[name], trainer.datamodule
    train, val = data.part("train"), data.part("val")
    x, y, held = train["x"], train["y"], (val["x"], val["y"])

    def loop(network: torch.nn.Module, bfloat: bool) -> Rival:
        optimizer = build_optimizer(AdamW, network)
        return HandWritten(network, optimizer, x, y, held, load.batch, epochs, bfloat)

    own = partial(copy.deepcopy, model.network)
    made: dict[str, Any] = {
        "hand": lambda: loop(own(), trainer.precision == "bf16-mixed"),
        "usual": lambda: loop(usual_network(name), False),
        "template": lambda: Template(usual_network(name), x, y, held, load.batch, folder),
        "skorch": lambda: peers.skorch(own(), x, y, held, load.batch),
        "keras": lambda: peers.keras(load.shape, x, y, held, load.batch),
        "fastai": lambda: peers.fastai(own(), x, y, held, load.batch),
    }
    return {name: made[name]() for name in names}


def measure(name: str, epochs: int, names: list[str], *more: str) -> dict[str, list[Seconds]]:
    """Seconds of the epochs that count, of ours and of its rivals."""
    load = WORKLOADS[name]
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        workloads.RIVALS = partial(rivals, name, epochs + 2, names, folder)
        words = [*START.split(), *f"--data.workload {name} --data.batch_size {load.batch} --model {load.model}".split()]
        words += f"--trainer.max_epochs {epochs + 2} --trainer.default_root_dir {folder}".split()
        main([*words, *more])
    return Clock.latest.counted()


def ratios(seconds: dict[str, list[Seconds]], one: str, other: str, clock: str) -> tuple[float, float, float]:
    """The median of the ratios of paired epochs, and their quartiles."""
    pairs = zip(seconds[one], seconds[other], strict=True)
    found = [getattr(a, clock) / getattr(b, clock) for a, b in pairs]
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    return middle, low, high


def median(seconds: list[Seconds], clock: str) -> float:
    """The median of some epochs."""
    return statistics.median(getattr(one, clock) for one in seconds)


def cell(found: tuple[float, float, float]) -> str:
    middle, low, high = found
    digits = 1 if middle >= 10 else 2
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def run(name: str, epochs: int, clock: str, with_peers: bool) -> None:
    """The table's rows of one workload."""
    load = WORKLOADS[name]
    others = ["hand", "usual", "template"]
    if with_peers:
        others += [name for name in ("skorch", "fastai") if peers.version(name)]
        others += ["keras"] if load.blocks and peers.version("keras") else []
    kinds = {"": (others, [])}
    if load.blocks:  # larger networks choose by themselves
        kinds = {"": (others, [BLOCK, "1"]), "50 steps an execution": (others[:2], [BLOCK, "50"])}
    if name == "cnn":
        kinds["fast"] = (others[:2], ["-c", str(FAST)])
    first: dict[str, list[Seconds]] = {}
    for kind, (names, words) in kinds.items():
        seconds = measure(name, epochs, names, *words)
        first = first or seconds
        hand = ratios(seconds, "ours", "hand", clock)
        usual = ratios(seconds, "ours", "usual", clock)
        # The template and the peers run beside the plain run only; a loop that is the same in both says how much faster
        # the machine was meanwhile.
        epoch = median(seconds["ours"], clock) * median(first["usual"], clock) / median(seconds["usual"], clock)
        ahead = median(first["template"], clock) / epoch
        peer = [
            f"{median(first[name], clock) / epoch:.2f}" if name in first else "-"
            for name in ("skorch", "keras", "fastai")
        ]
        step = median(seconds["hand"], clock) / -(-load.rows // load.batch)
        title = f"{name}, {kind}" if kind else name
        found = (title, cell(hand), cell(usual), f"{ahead:.1f}", *peer, f"{1000 * step:.3f}")
        print(f"| {' | '.join(found)} |", flush=True)


def machine(threads: int) -> str:
    """Where and with what this was measured."""
    model = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    load = ", ".join(f"{load_average:.1f}" for load_average in os.getloadavg())
    packages = ("torch", "lightning", "torchmetrics", "skorch", "keras", "fastai")
    versions = ", ".join(f"{package} {peers.version(package) or 'not installed'}" for package in packages)
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} cores, {threads} thread(s), load {load}; Python {python}, {versions}"


def benchmark() -> None:
    """Read the words, measure and print."""
    parser = argparse.ArgumentParser(description="An epoch of ours beside loops written by hand.")
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--epochs", type=int, help="Pairs of epochs that count.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", action="store_true", help="skorch, Keras and fastai too, where they are installed.")
    typed = parser.parse_args()
    torch.set_num_threads(typed.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    clock = "cpu" if typed.threads == 1 else "wall"
    print(f"{machine(typed.threads)}; by {'CPU time of the process' if clock == 'cpu' else 'wall time'}\n")
    columns = ("workload", "to the hand-written loop", "to the loop with the usual network", "template")
    columns = (*columns, "skorch", "keras", "fastai", "ms a step by hand")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for name in typed.only:
        run(name, typed.epochs or EPOCHS[name], clock, typed.peers)


if __name__ == "__main__":
    benchmark()
