"""Does an epoch's time per row, and a run's memory per row, stay flat as the work grows: ``make bench-growth``.

``python tests/benchmarks/bench_growth.py [--only rows columns metrics runs] [--most ROWS]``. Each line is a process of
its own, so that its peak of memory is its own; the last column is the growth against the first line of its part, 1
where it is flat. Time is the process's CPU time at one thread.

- rows: a linear model over 16 columns, 10,000 to 10,000,000 rows; an epoch with everything on, and bytes a row above
  the process's own.
- columns: 100,000 rows of 4 to 256 columns.
- metrics: logged metrics besides the task's own, 0 to 64.
- runs: in a folder that holds 1 to 1,000 other runs of the experiment.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback

from datamodules import InMemoryData, Rows


class Many(InMemoryData):
    """Rows of two classes.

    Args:
        rows: Train rows; a tenth as many validate.
        columns: Numbers of a row.
        kwargs: See ``InMemoryData``.
    """

    task = "binary"
    modality = "table"
    num_outputs = 1

    def __init__(self, rows: int = 10_000, columns: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.input_shape = rows, (columns,)

    def load(self) -> Rows:
        held = self.count // 10
        rows = torch.arange(self.count + 2 * held)
        x = torch.empty(len(rows), *self.input_shape).normal_(generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        return Rows(x, y, test=rows[self.count + held :], val=rows[self.count : self.count + held])


class Stopwatch(Callback):
    """Prints the CPU seconds of the second epoch."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, trainer: Any, model: Any) -> None:
        self.starts.append(time.process_time())
        if len(self.starts) == 3:
            print("seconds", self.starts[2] - self.starts[1])


def child(words: list[str]) -> None:
    """One run, its epoch's seconds and the process's peak of memory on standard output."""
    torch.set_num_threads(1)
    from experiments.__main__ import main

    main(words)
    print("peak", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def measure(folder: str, rows: int = 10_000, columns: int = 16, more: tuple[str, ...] = ()) -> tuple[float, int]:
    """Seconds of an epoch, and bytes at the most."""
    words = "fit --trust bench_growth --data bench_growth.Many --data.duplicates ignore --model LitLinear"
    sizes = f"--data.rows {rows} --data.columns {columns} --data.batch_size 1024 --figures false"
    clock = "--trainer.callbacks+ bench_growth.Stopwatch --trainer.max_epochs 3 --trainer.accelerator cpu"
    here = f"--trainer.default_root_dir {folder} --experiment e"
    command = [sys.executable, __file__, "--child", *f"{words} {sizes} {clock} {here}".split(), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = dict(line.split() for line in done.stdout.splitlines() if line.startswith(("seconds ", "peak ")))
    if done.returncode or len(found) < 2:
        raise SystemExit(done.stderr[-2000:])
    return float(found["seconds"]), int(found["peak"])


def row(*cells: object) -> None:
    """A line of the table."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def grow_rows(folder: str, most: int) -> None:
    _, own = measure(folder, 1000)
    first: float | None = None
    for rows in (10_000, 100_000, 1_000_000, 10_000_000):
        if rows <= most:
            seconds, peak = measure(folder, rows)
            each = 1e6 * seconds / rows
            first = first or each
            row(
                "rows",
                f"{rows:,}",
                f"{each:.2f} us a row",
                f"{(peak - own) / rows:.0f} bytes a row",
                f"{each / first:.2f}",
            )


def grow_columns(folder: str, most: int) -> None:
    first: float | None = None
    for columns in (4, 16, 64, 256):
        seconds, peak = measure(folder, min(most, 100_000), columns)
        each = 1e6 * seconds / min(most, 100_000)
        first = first or each
        row("columns", columns, f"{each:.2f} us a row", f"peak {peak >> 20} MiB", f"{each / first:.2f}")


def grow_metrics(folder: str, most: int) -> None:
    first: float | None = None
    for count in (0, 4, 16, 64):
        metrics = {f"m{one}": {"class_path": "torchmetrics.classification.BinaryAccuracy"} for one in range(count)}
        words = ("--model.metrics", json.dumps(metrics)) if count else ()
        seconds, peak = measure(folder, min(most, 100_000), more=words)
        first = first or seconds
        row("metrics", count, f"{seconds:.2f} s an epoch", f"peak {peak >> 20} MiB", f"{seconds / first:.2f}")


def grow_runs(folder: str, most: int) -> None:
    first: float | None = None
    for count in (1, 10, 100, 1000):
        here = Path(folder) / str(count)
        for one in range(count):
            run = here / "runs" / "e" / f"r{one}"
            run.mkdir(parents=True)
            (run / "record.json").write_text(json.dumps({"status": "finished", "run": run.name}))
        seconds, peak = measure(str(here))
        first = first or seconds
        row("runs", count, f"{seconds:.2f} s an epoch", f"peak {peak >> 20} MiB", f"{seconds / first:.2f}")


PARTS = {"rows": grow_rows, "columns": grow_columns, "metrics": grow_metrics, "runs": grow_runs}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        parser = argparse.ArgumentParser(description="Time and memory as the work grows.")
        parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
        parser.add_argument("--most", type=int, default=10_000_000, help="Rows at the most.")
        typed = parser.parse_args()
        row("part", "size", "time", "memory", "growth of the time")
        row(*["---"] * 5)
        for part in typed.only:
            with TemporaryDirectory() as name:
                PARTS[part](name, typed.most)
