"""A fit on one GPU at bf16 beside the hand-written loop, and beside what the chip reaches at multiplying matrices.

Two networks: a CNN of a ResNet-18's size on images of 3 x 64 x 64,
and a transformer of 12 layers of width 768 on 256 steps. Both ways take the same network, the same batches
on the device and a fused AdamW; the floating-point operations of a step are counted by torch.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.flop_counter import FlopCounterMode

from datamodules import InMemoryData, Rows
from experiments.run.cpu_speed import NoProfiler
from lit_models import LitCNN, LitModel, LitTransformer

BATCH, STEPS, WARM = 256, 30, 10


class Images(InMemoryData):
    """Random images."""

    task, modality, input_shape, num_outputs = "multiclass", "image", (3, 64, 64), 10

    def load(self) -> Rows:
        return Rows(torch.randn(BATCH * 16, *self.input_shape), torch.arange(BATCH * 16) % 10)


class Series(Images):
    """Random series."""

    modality, input_shape = "series", (64, 256)


def cnn(data: InMemoryData) -> LitModel:
    return LitCNN(channels=(64, 128, 256, 512, 512), kernel_size=3, pool_blocks=4, **facts(data))


def transformer(data: InMemoryData) -> LitModel:
    return LitTransformer(width=768, heads=12, num_layers=12, **facts(data))


def facts(data: InMemoryData) -> dict[str, Any]:
    return {name: getattr(data, name) for name in ("task", "modality", "input_shape", "num_outputs")}


class Clock(Callback):
    """Seconds of each step but the first ones, by the device's own events."""

    def __init__(self) -> None:
        self.marks: list[Any] = []

    def on_train_batch_end(self, *_: Any) -> None:
        mark = torch.cuda.Event(enable_timing=True)
        mark.record()
        self.marks.append(mark)

    def seconds(self) -> float:
        """Median of a step."""
        torch.cuda.synchronize()
        pairs = zip(self.marks[WARM:], self.marks[WARM + 1 :], strict=False)
        return statistics.median(one.elapsed_time(two) for one, two in pairs) / 1000


def fitted(data: InMemoryData, model: LitModel) -> float:
    """Seconds of a step of a fit."""
    clock = Clock()
    trainer = Trainer(
        accelerator="gpu", devices=1, precision="bf16-mixed", max_steps=WARM + STEPS, callbacks=[clock], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        limit_val_batches=0, profiler=NoProfiler(),
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return clock.seconds()


def written(data: InMemoryData, model: LitModel) -> tuple[float, float]:
    """Seconds of a step of the loop, and its floating-point operations."""
    network = model.network.cuda().train()
    rows = {name: column.cuda() for name, column in data.part("train").items()}
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    loss = torch.nn.CrossEntropyLoss()
    clock = Clock()

    def step(index: int) -> None:
        places = slice(index % 8 * BATCH, (index % 8 + 1) * BATCH)
        with torch.autocast("cuda", torch.bfloat16):
            value = loss(network(rows["x"][places]), rows["y"][places])
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    for index in range(WARM + STEPS):
        step(index)
        clock.on_train_batch_end()
    with FlopCounterMode(display=False) as counter:
        step(0)
    return clock.seconds(), float(counter.get_total_flops())


def matrix_rate() -> float:
    """Floating-point operations a second of the best of some square bf16 products."""
    best = 0.0
    for side in (4096, 8192):
        a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        for _ in range(5):
            a @ b
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(20):
            a @ b
        torch.cuda.synchronize()
        best = max(best, 20 * 2 * side**3 / (time.perf_counter() - began))
    return best


def main() -> None:
    """Print a table."""
    if not torch.cuda.is_available():
        sys.exit("bench-gpu needs a CUDA device, and there is none here")
    rate = matrix_rate()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: {rate / 1e12:.0f} TFLOP/s at bf16 matrices")
    cases: dict[str, tuple[type[InMemoryData], Callable[[InMemoryData], LitModel]]] = {
        "CNN": (Images, cnn),
        "transformer": (Series, transformer),
    }
    for name, (kind, make) in cases.items():
        data = kind(batch_size=BATCH)
        ours = fitted(data, make(data))
        loop, operations = written(data, make(data))
        print(
            f"{name:12} fit {ours * 1e3:.1f} ms a step, loop {loop * 1e3:.1f} ms: {loop / ours:.0%} of the loop, "
            f"{operations / ours / rate:.0%} of the matrix rate"
        )


if __name__ == "__main__":
    main()
