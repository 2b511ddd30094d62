"""ONNX artefacts against the networks they were made of, in eager mode without gradients: one core, rows in memory.

``python tests/benchmarks/bench_inference.py [REPEATS]``: medians of the ratio of two answers timed in turn, at batch 1
and 1,024. The CNN is to be at least 3 and 5 times as fast. Both are given what they take: the network normalized
float32, the artefact raw numbers, which it normalizes itself.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load
from experiments.run.record.export_samples import read_test_rows

MODELS = ("LitCNN", "LitMLP", "LitRNN", "LitTransformer")
MINIMUM_RATIO = {("LitCNN", 1): 3.0, ("LitCNN", 1024): 5.0}


def ratios(folder: Path, model: str, repeats: int) -> dict[int, tuple[float, float]]:
    """Eager time over the artefact's at each batch size, and the artefact's milliseconds; medians."""
    words = f"fit --data MNIST1D --model {model} --trainer.max_epochs 1 --run {model} --experiment a --figures false"
    main([*words.split(), "--trainer.default_root_dir", str(folder)])
    run = folder / "runs" / "a" / model
    main(["export", "--ckpt_path", str(run), "--format", "onnx", "--output", str(folder / model)])
    network, exported = load(run, "cpu").model, load_export(folder / model)
    kept = read_test_rows(run)
    assert kept is not None
    found = {}
    for size in (1, 1024):
        raw = {"x": kept["x"][torch.arange(size) % len(kept["x"])].double()}
        normal = raw["x"].float()

        def eager(x: Tensor = normal) -> Tensor:
            with torch.no_grad():
                return network.task.predict(network(x))

        pairs = [(_seconds(eager), _seconds(lambda raw=raw: exported.run(raw))) for _ in range(repeats)]
        pairs = pairs[len(pairs) // 10 :]
        found[size] = (
            statistics.median(slow / fast for slow, fast in pairs), 1e3 * statistics.median(fast for _, fast in pairs)
        )  # fmt: skip
    return found


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with TemporaryDirectory() as name:
        for model in MODELS:
            for size, (ratio, milliseconds) in ratios(Path(name), model, repeats).items():
                minimum = MINIMUM_RATIO.get((model, size))
                target = f", at least {minimum:g} required" if minimum else ""
                print(f"{model} batch {size}: {ratio:.2f} times eager{target} ({milliseconds:.3f} ms)", flush=True)
