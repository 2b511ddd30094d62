"""Two processes of one thread each against one: rows per second of a fit, on a CNN and a transformer.

Each fit is a process group of its own, started as a person starts it; what is compared are the rows per second of the
last epochs, without the start. Run it on a machine with two free cores.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

HERE = Path(__file__).parents[1]
MODELS = {
    "CNN on 28 x 28": "--data speeds.Pictures --model LitCNN --model.kernel_size 3",
    "transformer, length 64": "--data speeds.Waves --model LitTransformer --model.width 128 --model.num_layers 2",
}
ROUNDS = 3


def rows_per_second(words: str, processes: int, folder: Path) -> float:
    """Median over the epochs but the first."""
    run = f"{processes}-{len(list(folder.rglob('record.json')))}"
    command = [sys.executable, "-m", "experiments", "fit", "--trust", "speeds", *words.split(), "--experiment", "e"]
    command += ["--run", run, "--trainer.max_epochs", "4", "--data.batch_size", "128", "--test_at_end", "false"]
    command += ["--trainer.accelerator", "cpu", "--trainer.devices", str(processes), "--seed_everything", "0"]
    paths = os.pathsep.join([str(HERE.parent), str(HERE / "benchmarks")])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return statistics.median(json.loads((folder / "speeds.json").read_text())[1:])


def main() -> None:
    """Print a table."""
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, one thread a process, median of {ROUNDS} rounds")
    for name, words in MODELS.items():
        ratios = []
        for _ in range(ROUNDS):
            with TemporaryDirectory() as folder:
                one, two = (
                    rows_per_second(f"{words} --trainer.callbacks+ speeds.Speeds", processes, Path(folder))
                    for processes in (1, 2)
                )
            ratios.append(two / one)
        low, middle, high = sorted(ratios)
        print(f"{name:24} {middle:.2f}x  ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main()
