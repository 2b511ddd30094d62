"""Workloads of ``bench_training.py``, and a callback that times them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback

from datamodules import InMemoryData, Rows


@dataclass(frozen=True)
class Workload:
    """Rows of one shape, an architecture with its options, and a batch size.

    Args:
        modality: Modality of the rows.
        shape: Shape of a row.
        rows: Number of train rows.
        batch: Batch size.
        model: Command-line words of the architecture.
        blocks: True if it is small enough for multi-step execution.
        task: Always multiclass, with ten classes.
    """

    modality: str
    shape: tuple[int, ...]
    rows: int
    batch: int
    model: str
    blocks: bool = False
    task: str = field(default="multiclass", init=False)


MLP = "LitMLP --model.hidden [128]"
TABM = "LitTabM --model.members 8 --model.hidden [128,128]"
WORKLOADS = {
    "mlp64": Workload("table", (64,), 160_000, 64, MLP, blocks=True),
    "mlp1024": Workload("table", (64,), 480_000, 1024, MLP, blocks=True),
    "plr": Workload("table", (16,), 40_960, 256, f"{MLP} --model.numbers plr", blocks=True),
    "tabm": Workload("table", (16,), 10_240, 256, f"{TABM} --model.numbers plr", blocks=True),
    "cnn": Workload("image", (1, 28, 28), 16_384, 128, "LitCNN --model.channels [32,64] --model.kernel_size 3"),
    "lstm": Workload("series", (8, 100), 24_576, 64, "LitRNN --model.hidden 64 --model.bidirectional false"),
    "transformer": Workload(
        "series", (8, 64), 3072, 64, "LitTransformer --model.width 128 --model.num_layers 2 --model.dropout 0.1"
    ),
}
CLASSES, VALIDATION = 10, 2048


class Made(InMemoryData):
    """Ten overlapping classes, their parts given.

    Args:
        workload: Whose rows.
        kwargs: See ``InMemoryData``.
    """

    task = "multiclass"
    num_outputs = CLASSES
    class_names = tuple(f"class {index}" for index in range(CLASSES))

    def __init__(self, workload: str = "mlp64", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workload = WORKLOADS[workload]
        self.modality, self.input_shape = self.workload.modality, self.workload.shape  # type: ignore[assignment]

    def load(self) -> Rows:
        train = self.workload.rows
        rows = torch.arange(train + 2 * VALIDATION)
        chance = torch.Generator().manual_seed(0)
        y = torch.randint(CLASSES, (len(rows),), generator=chance)
        centers = torch.randn(CLASSES, *self.input_shape, generator=chance) / 4
        x = torch.randn(len(rows), *self.input_shape, generator=chance) + centers[y]
        return Rows(x, y, test=rows[train + VALIDATION :], val=rows[train : train + VALIDATION])


class Seconds(NamedTuple):
    """An epoch on two clocks: the process's own, which other processes do not disturb, and the wall's."""

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> "Seconds":
        return cls(time.process_time(), time.perf_counter())

    def since(self, start: "Seconds") -> "Seconds":
        return Seconds(self.cpu - start.cpu, self.wall - start.wall)


Rival = Callable[[], None]
"""Trains for one epoch."""

PAIRED, OTHERS = ("hand", "usual"), 2
"""Those that have an epoch to each of ours; the others take so long that only so many of theirs count."""

RIVALS: Callable[[Any, Any], dict[str, Rival]] = lambda trainer, model: {}  # noqa: E731, bench_training.py sets it


class Clock(Callback):
    """Times each epoch of the run that it is in, from one start to the next; ahead of each, every rival's epoch.

    What belongs to an epoch of ours: its training, validation, metrics, schedule, the curves, both checkpoints and the
    line of progress. The first epoch of everybody is not counted.
    """

    seconds: dict[str, list[Seconds]]
    latest: "Clock"

    def __init__(self) -> None:
        self.seconds = {"ours": []}
        self._began: Seconds | None = None
        self._rivals: dict[str, Rival] = {}
        type(self).latest = self

    def on_train_start(self, trainer: Any, model: Any) -> None:
        self._rivals = RIVALS(trainer, model)
        self.seconds |= {name: [] for name in self._rivals}

    def on_train_epoch_start(self, trainer: Any, model: Any) -> None:
        if self._began is not None:
            self.seconds["ours"].append(Seconds.now().since(self._began))
        state = torch.get_rng_state()
        for name, train in self._rivals.items():
            if name in PAIRED or len(self.seconds[name]) <= OTHERS:
                start = Seconds.now()
                train()
                self.seconds[name].append(Seconds.now().since(start))
        torch.set_rng_state(state)
        self._began = Seconds.now()

    def counted(self) -> dict[str, list[Seconds]]:
        """Of each, the epochs that count; of ours and those that are paired, one for one."""
        epochs = len(self.seconds["ours"])
        return {name: seconds[1:epochs] for name, seconds in self.seconds.items()}
