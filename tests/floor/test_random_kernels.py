"""Random convolution kernels: the features of the paper, computed by plain loops, and a floor of series."""

import json
from itertools import combinations
from math import log2, sqrt
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from scipy import special

from datamodules import SeriesData
from datamodules.types import TaskName
from experiments.__main__ import main
from experiments.floor import random_kernels
from experiments.floor.baselines import baselines
from experiments.floor.features import features
from experiments.floor.random_kernels import PaddedSeries, RandomKernels, RidgeProbabilities, dilations

ROWS = 120
Floor = dict[str, tuple[dict[str, Any], polars.DataFrame]]
answers: list[list[float]] = []
"""Predictions of the unchanged test rows, once for each file."""


def paper_dilations(steps: int, features: int) -> dict[int, int]:
    """Loop of the paper's own code (Dempster, Schmidt & Webb 2021, ``fit_dilations``)."""
    largest = min(features, 32)
    powers = [int(2 ** (log2((steps - 1) / 8) * index / (largest - 1))) for index in range(largest)]
    counts: dict[int, float] = {}
    for power in powers:
        counts[power] = counts.get(power, 0) + 1
    whole = {power: int(count * features / largest) for power, count in counts.items()}
    left = features - sum(whole.values())
    while left > 0:
        for power in whole:
            if left > 0:
                whole[power] += 1
                left -= 1
    return whole


@pytest.mark.parametrize("steps", [24, 40, 151, 500])
def test_dilations_are_those_of_the_paper(steps: int) -> None:
    assert dilations(steps, 119) == paper_dilations(steps, 119)


def outputs(series: list[list[float]], ones: tuple[int, ...], sees: list[int], dilation: int) -> list[float]:
    """Convolves one series, with zeros on either side: 2 at three positions of the kernel, -1 at the others."""
    steps, found = len(series[0]), []
    for step in range(steps):
        total = 0.0
        for channel in sees:
            for position in range(9):
                place = step + (position - 4) * dilation
                if 0 <= place < steps:
                    total += series[channel][place] * (2 if position in ones else -1)
        found.append(total)
    return found


def test_features_are_those_of_plain_loops() -> None:
    """Whole numbers, so that sums are exact: two channels, and lengths beyond and below the reach of a kernel."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.tensor([30, 21, 9, 30, 3])
    x = torch.randint(-9, 10, (5, 2, 30), generator=draw).float()
    x *= torch.arange(30) < lengths.view(-1, 1, 1)
    kernels = RandomKernels(3).fit(PaddedSeries(x, lengths))
    features = kernels.transform(PaddedSeries(x, lengths))
    assert features.shape == (5, 9996)
    golden, seen, column = (sqrt(5) + 1) / 2, 0, 0
    for index, group in enumerate(kernels.groups_):
        reach, count = 4 * group.dilation, group.biases.shape[1]
        for kernel, ones in enumerate(combinations(range(9), 3)):
            if (kernel + index) % 7:  # some kernels of each dilation, for time
                seen, column = seen + count, column + count
                continue
            sees = [channel for channel in range(2) if group.weights[kernel, channel].any()]
            each = [outputs(x[row, :, : lengths[row]].tolist(), ones, sees, group.dilation) for row in range(5)]
            levels = [(number * golden) % 1 for number in range(seen + 1, seen + count + 1)]
            quantiles = [numpy.quantile(row, levels).astype(numpy.float32).tolist() for row in each]
            assert group.biases[kernel].tolist() in quantiles, "the biases are quantiles of a train row's outputs"
            for row, output in enumerate(each):
                is_padded = (index + kernel) % 2 == 0 or len(output) <= 2 * reach
                counted = output if is_padded else output[reach:-reach]
                for bias, feature in zip(group.biases[kernel], features[row, column : column + count], strict=True):
                    assert feature == numpy.float32(sum(value > bias for value in counted) / len(counted))
            seen, column = seen + count, column + count


@pytest.mark.parametrize(("rows", "each"), [(1, 119), (5, 23), (10, 11), (60, 1), (500, 1)])
def test_many_rows_have_fewer_features(monkeypatch: pytest.MonkeyPatch, rows: int, each: int) -> None:
    """So many for each of the 84 kernels that all rows have 10,000 numbers at most, and one at least."""
    monkeypatch.setattr(random_kernels, "MOST_NUMBERS", 10_000)
    x = torch.randn(rows, 1, 12, generator=torch.Generator().manual_seed(0))
    series = PaddedSeries(x, torch.full((rows,), 12))
    assert RandomKernels(0).fit(series).transform(series).shape == (rows, 84 * each)


def test_a_kernel_sees_one_to_nine_different_channels() -> None:
    x = torch.randn(4, 12, 40, generator=torch.Generator().manual_seed(0))
    groups = RandomKernels(0).fit(PaddedSeries(x, torch.full((4,), 40))).groups_
    seen = torch.cat([group.weights.ne(0).any(dim=2).sum(dim=1) for group in groups])
    counts = torch.bincount(seen, minlength=10)
    assert counts[0] == 0
    assert (counts[1:] > 0).all()
    assert len(counts) == 10
    # Their logarithms are uniform: half of the kernels see as many as the square root of ten.
    assert counts[1:4].sum() / counts.sum() == pytest.approx(log2(4) / log2(10), abs=0.06)


def series_file(path: Path, task: str, other: int = 0) -> Path:
    """Writes series of two channels and unequal lengths that rise and fall, or fall and rise, at a random step.

    With ``other``, the validation rows and every second test row are other series.
    """
    draw, split = numpy.random.default_rng(0), numpy.array(["train", "train", "val", "test"] * (ROWS // 4))
    lengths, rises, x = draw.integers(40, 61, ROWS), draw.integers(0, 2, ROWS), draw.normal(0, 0.3, (ROWS, 2, 60))
    for row in range(ROWS):
        away = (numpy.arange(60) - draw.integers(10, lengths[row] - 10)) / 3
        x[row, 1] += away * numpy.exp(-(away**2)) * draw.uniform(4, 8) * (1 if rises[row] else -1)
    changed = (split == "val") | ((split == "test") & (numpy.arange(ROWS) % 8 == 7))
    if other:
        x[changed] = numpy.random.default_rng(other).normal(50, 20, (changed.sum(), 2, 60))
    y: Any = {"binary": rises, "regression": rises * 10.0 + 0.5, "multilabel": numpy.stack([rises, 1 - rises], axis=1)}
    numpy.savez(path, x=x, lengths=lengths, y=y[task], part=split)
    return path


@pytest.fixture(scope="module", params=[0, 1], ids=["as they are", "other val and test rows"])
def floor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Floor:
    """The record and the predictions of each baseline."""
    root = tmp_path_factory.mktemp("floor")
    words = ["--data", "SeriesData", "--data.path", str(series_file(root / "series.npz", "binary", request.param))]
    words += ["--data.split_column", "part", "--seeds", "0", "--trainer.default_root_dir", str(root)]
    assert main(["floor", *words]) == 0
    found = {}
    for path in root.glob("runs/*/*/record.json"):
        record = json.loads(path.read_text())
        found[record["model"]] = record, polars.read_parquet(path.parent / "predictions.parquet").sort("row")
    return found


def test_random_kernels_find_a_shape_at_any_step(floor: Floor) -> None:
    """Kernels, scales and the ridge regression learn nothing of val and test rows, whatever these are."""
    record, predictions = floor["random kernels"]
    assert record["deterministic"] is False
    unchanged = predictions.filter(polars.col("row") % 8 == 3)
    assert ((unchanged["prediction"] > 0.5) == (unchanged["target"] == 1)).all()
    linear = floor["logistic"][1].filter(polars.col("row") % 8 == 3)
    assert ((linear["prediction"] > 0.5) == (linear["target"] == 1)).mean() < 0.75
    answers.append(unchanged["prediction"].to_list())
    assert answers[0] == answers[-1], "bit for bit"


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_probabilities_are_those_of_twice_the_scores(kind: str) -> None:
    draw = numpy.random.default_rng(0)
    x = draw.normal(size=(90, 4))
    labels = (x[:, :3] + draw.normal(0, 0.5, (90, 3)) > 0).astype(int)
    y = {"binary": labels[:, 0], "multiclass": labels[:, 0] + labels[:, 1], "multilabel": labels}[kind]
    model = RidgeProbabilities().fit(x, y)
    logits, found = 2 * model.ridge_.decision_function(x), model.predict_proba(x)
    if kind == "multiclass":
        assert found == pytest.approx(special.softmax(logits, axis=1))
    elif kind == "binary":
        assert found == pytest.approx(numpy.stack([special.expit(-logits), special.expit(logits)], axis=1))
    else:
        assert [label[:, 1] for label in found] == [pytest.approx(special.expit(score)) for score in logits.T]
        assert all(label.sum(axis=1) == pytest.approx(1) for label in found)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_values_and_labels_have_a_ridge_regression_too(tmp_path: Path, task: TaskName) -> None:
    data = SeriesData(str(series_file(tmp_path / "series.npz", task)), split_column="part", task=task)
    data.setup("fit")
    train, test = features(data, "train"), features(data, "test")
    (kernels,) = (each for each in baselines(train, None, task, 0, 1) if each.on_series)
    kernels.fit(train)
    off = kernels.predict(test, task) - test.target.numpy().reshape(len(test.row), -1)
    assert numpy.abs(off).mean() < (2.5 if task == "regression" else 0.3)
