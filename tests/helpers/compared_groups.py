"""Groups of handmade runs, to be compared."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from handmade_runs import guesses, record_run

Output = Callable[..., str]

TARGET = numpy.random.default_rng(7).integers(0, 3, 200)


def group(folder: Path, skill: float, seeds: int, model: str = "LitMLP", name: str = "", **changes: Any) -> list[Path]:
    """Writes runs of a model, one for each seed; equal ``skill`` makes equal groups."""
    generator = numpy.random.default_rng(zlib.crc32(f"{model} {skill}".encode()))
    return [
        record_run(
            folder / f"{name or model}-{seed}",
            TARGET,
            guesses(generator, TARGET, skill),
            model=model,
            seed=seed,
            **changes,
        )
        for seed in range(seeds)
    ]
