"""A user's package that is trusted, for tests on several processes, and how those are started as torchrun does."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from fork_server import Child, Server
from lightning.pytorch import Callback

from datamodules import InMemoryData, Rows


class Dots(InMemoryData):
    """143 rows to train and validate on and so many to test, of eight numbers in three classes.

    Args:
        test_rows: How many.
        differs: What is another in the process of rank 1: ``data``, ``split`` or ``statistics``.
        kwargs: See ``InMemoryData``.
    """

    task = "multiclass"
    modality = "table"
    input_shape = (8,)
    num_outputs = 3

    def __init__(self, test_rows: int = 17, differs: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.test_rows = test_rows
        self.differs = differs if os.environ.get("RANK") == "1" else ""
        if self.differs == "split":
            self.split_settings = replace(self.split_settings, seed=5)

    def load(self) -> Rows:
        rows = 143 + self.test_rows
        x = torch.randn(rows, 8, generator=torch.Generator().manual_seed(3))
        y = (x[:, 0] * 2 + x[:, 1] * x[:, 2]).div(1.2).round().clamp(-1, 1).long() + 1
        if self.differs == "data":
            x[5, 5] += 1
        return Rows(x, y, torch.arange(143, rows))

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.differs == "statistics":
            self.statistics.center += 1


class Untested(Dots):
    """Dots without test rows of its own, so that folds can be made of it."""

    def load(self) -> Rows:
        return replace(super().load(), test=None)


class Seen(Callback):
    """Writes which rows every optimizer step took, those of each process into a file of its own."""

    def __init__(self) -> None:
        self.steps: dict[int, list[int]] = {}

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, *_: Any) -> None:
        self.steps.setdefault(trainer.global_step, []).extend(batch["row"].tolist())

    def on_train_end(self, trainer: Any, *_: Any) -> None:
        Path(f"{os.environ['SEEN']}-{trainer.global_rank}.json").write_text(json.dumps(self.steps))


class OtherRate(Callback):
    """A rate that only one process changes, as a plateau schedule on a number of its own would."""

    def on_train_epoch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_rank == 1:
            trainer.optimizers[0].param_groups[0]["lr"] = 0.5


class OtherWeights(Callback):
    """Weights that are others in one process."""

    def setup(self, trainer: Any, module: Any, stage: str) -> None:
        if trainer.global_rank == 1:
            next(module.parameters()).data.add_(1)


class PauseOne(Callback):
    """The process of rank ``STOP_RANK`` says that it reached a step, and waits there for its end."""

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if f"{trainer.global_rank} {trainer.global_step}" == os.environ.get("STOP_AT"):
            Path("reached").write_text(str(os.getpid()))
            import time

            time.sleep(600)


def seen(folder: Path, name: str) -> dict[str, list[int]]:
    """The rows of every step, over all processes."""
    steps: dict[str, list[int]] = {}
    for path in folder.glob(f"{name}-*.json"):
        for step, rows in json.loads(path.read_text()).items():
            steps.setdefault(step, []).extend(rows)
    return {step: sorted(rows) for step, rows in steps.items()}


def start(
    server: Server, words: list[str], folder: Path, processes: int, types_devices: bool = True, **env: str
) -> list[Child]:
    """The command in so many processes that torchrun would start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*words, "--trainer.devices", str(processes)] if types_devices else words
    if processes == 1:
        return [server.start(words, folder, **env)]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "none", "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    own = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    return [server.start(words, folder, **env, **shared, **variables) for variables in own]


def finish(children: list[Child]) -> None:
    """Wait for all of them, who must have done what they were asked for."""
    codes = [child.wait() for child in children]
    assert not any(codes), "\n".join(child.output.read_text() for child in children)
