"""Predicting a million rows of a table against reading the file and the bare network: at most 1.3 times as long.

``python tests/benchmarks/bench_predict.py [ROWS] [REPEATS]``: in one process, in turns, the medians.
The file is read by polars alone, and the network runs on batches that lie in memory.
"""

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import polars
import torch

from experiments.__main__ import main
from experiments.inference.predict_file import predict_file
from experiments.inference.predictor import Predictor, load

NUMBERS, CATEGORIES = 10, 4


def write(path: Path, rows: int, seed: int) -> None:
    """Ten numbers, four categories of 20 values, and a label."""
    draw = numpy.random.default_rng(seed)
    names = numpy.array([f"value {number}" for number in range(20)])
    columns = {f"number {index}": draw.normal(size=rows).round(6) for index in range(NUMBERS)}
    columns |= {f"category {index}": names[draw.integers(0, 20, rows)] for index in range(CATEGORIES)}
    frame = polars.DataFrame(columns | {"label": (columns["number 0"] > 0).astype(int)})
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)


def trained(folder: Path) -> Predictor:
    """The MLP as it is by default, after one epoch."""
    write(folder / "train.csv", 5000, seed=0)
    words = f"fit --data TableData --data.path {folder}/train.csv --data.target label --model LitMLP"
    main([*words.split(), "--trainer.max_epochs", "1", "--trainer.default_root_dir", str(folder), "--run", "a"])
    return load(folder / "runs" / "tabledata" / "a", "cpu")


@torch.inference_mode()
def bare(predictor: Predictor, path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    """Reading and the network alone."""
    polars.read_parquet(path) if path.suffix == ".parquet" else polars.read_csv(path)
    for batch in batches:
        predictor.model(batch["x"], batch["categories"])


def compare(rows: int, repeats: int, ending: str) -> tuple[float, float]:
    """Median seconds of predicting a file and of the bare minimum."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        predictor, path = trained(folder), folder / f"new{ending}"
        write(path, rows, seed=1)
        tensors = [chunk.tensors for chunk in predictor.inputs.chunks(str(path))]
        whole = {key: torch.cat([one[key] for one in tensors]) for key in tensors[0]}
        batches = [
            dict(zip(whole, parts, strict=True))
            for parts in zip(*(column.split(1024) for column in whole.values()), strict=True)
        ]
        seconds: tuple[list[float], list[float]] = ([], [])
        for _ in range(repeats):
            for place, run in enumerate(
                (
                    lambda: predict_file(predictor, str(path), folder / "predictions.parquet"),
                    lambda: bare(predictor, path, batches),
                )
            ):
                began = time.perf_counter()
                run()
                seconds[place].append(time.perf_counter() - began)
        return statistics.median(seconds[0]), statistics.median(seconds[1])


if __name__ == "__main__":
    typed = [int(word) for word in sys.argv[1:]]
    rows, repeats = typed + [1_000_000, 5][len(typed) :]
    for ending in (".csv", ".parquet"):
        ours, least = compare(rows, repeats, ending)
        print(
            f"{ending[1:]}: {rows:,} rows in {ours:.2f} s, read and bare network {least:.2f}: {ours / least:.2f} times"
        )
