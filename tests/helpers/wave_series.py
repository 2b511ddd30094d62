"""Series of noisy waves, in every form that series come in."""

from typing import Any

import numpy
import polars

from datamodules import SeriesData


def made(path: str, **kwargs: Any) -> SeriesData:
    data = SeriesData(path, **kwargs)
    data.setup("fit")
    return data


def waves(count: int = 60, longest: int = 24, seed: int = 0) -> dict[str, numpy.ndarray]:
    """Two channels of noisy waves, unequally long; the class is how fast they go."""
    draw = numpy.random.default_rng(seed)
    y = numpy.arange(count) % 3
    lengths = draw.integers(longest // 2, longest + 1, count)
    time = numpy.arange(longest)
    phase = draw.uniform(0, 6.28, (count, 1, 1)) + numpy.array([0, 1.57])[:, None]
    x = numpy.sin(phase + time * (0.4 + 0.5 * y[:, None, None])) + draw.normal(0, 0.1, (count, 2, longest)) + 3
    return {"x": x, "y": y, "lengths": lengths, "person": numpy.arange(count) // 4, "day": draw.permutation(count)}


def as_long(arrays: dict[str, numpy.ndarray], order: int | None = 0) -> polars.DataFrame:
    """Converts series to long form; rows are shuffled, but series keep their order of appearance."""
    rows = []
    for number, (x, length) in enumerate(zip(arrays["x"], arrays["lengths"], strict=True)):
        for step in range(length):
            rest = {name: arrays[name][number] for name in arrays if name not in ("x", "lengths")}
            channels = {f"c{index}": value for index, value in enumerate(x[:, step])}
            rows.append({"who": f"s{number}", "at": step * 0.5, **channels, **rest})
    frame = polars.DataFrame(rows, infer_schema_length=None)
    if order is None:
        return frame
    first = frame.filter(polars.col("at") == 0)
    return polars.concat([first, frame.filter(polars.col("at") > 0).sample(fraction=1, shuffle=True, seed=order)])


def as_ts(arrays: dict[str, numpy.ndarray]) -> str:
    lines = []
    for x, length, y in zip(arrays["x"], arrays["lengths"], arrays["y"], strict=True):
        lines.append(":".join([*(",".join(map(repr, channel[:length].tolist())) for channel in x), str(y)]))
    return "@problemName waves\n@timeStamps false\n@classLabel true 0 1 2\n@data\n" + "\n".join(lines) + "\n"


LONG = {"id": "who", "step": "at", "target": "y"}
