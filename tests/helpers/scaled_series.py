"""Series of three classes whose standard deviations run from 3e-5 to 96."""

from pathlib import Path
from typing import Any

import numpy

LEAST, MOST = 3e-5, 96


def scaled_series(count: int = 240, seed: int = 0) -> dict[str, Any]:
    """Draws noisy waves of unequal lengths in one channel; the class is how fast they go, and no matter of scale.

    One series is constant.
    """
    draw = numpy.random.default_rng(seed)
    y, lengths, step = numpy.arange(count) % 3, draw.integers(20, 31, count), numpy.arange(30)
    wave = numpy.sin(draw.uniform(0, 6.28, (count, 1)) + step * (0.4 + 0.5 * y[:, None]))
    x = wave + draw.normal(0, 0.1, wave.shape) + draw.normal(0, 1, (count, 1))
    own = step < lengths[:, None]
    scale = LEAST * (MOST / LEAST) ** draw.permutation(numpy.linspace(0, 1, count))
    x *= (scale / x.std(axis=1, where=own))[:, None]
    x[7] = 5.0
    return {"x": numpy.where(own, x, 0)[:, None], "y": y, "lengths": lengths}


def write_scaled_series(path: Path) -> list[str]:
    """Writes the series, and returns the arguments of ``evenhand fit`` that name them."""
    numpy.savez(path, **scaled_series())
    return ["--data", "SeriesData", "--data.path", str(path)]
