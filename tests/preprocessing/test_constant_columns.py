"""A column that is the same in all train rows changes no prediction, whatever it becomes later: no row trained it."""

from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
import torch
from tiny_data import small_data

from datamodules.imaging.pixel_statistics import count_levels, learn_levels
from datamodules.preprocessing.normalization import learn
from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

SCALED = pytest.mark.parametrize("method", ["standard", "minmax", "robust", "quantile"])
ROUNDED = numpy.where(numpy.arange(90) % 2 == 0, 0.3, 0.1 + 0.2)
"""A constant but for the last bit."""


def people(constant: Any) -> polars.DataFrame:
    age = numpy.random.default_rng(0).normal(40, 9, 90).round(3)
    return polars.DataFrame({"age": age, "sensor": constant, "label": numpy.where(age > 40, "old", "young")})


CONSTANTS = {"equal": numpy.full(90, 0.1), "rounded": ROUNDED}
QUICK = [
    ("standard", "equal", "onnx"),
    ("minmax", "rounded", "safetensors"),
    ("robust", "equal", "safetensors"),
    ("quantile", "rounded", "torch-export"),
]


@pytest.mark.parametrize(
    ("method", "constant", "format"),
    [
        *QUICK,
        *(
            pytest.param(method, name, "onnx", marks=pytest.mark.slow)
            for method in ("standard", "minmax", "robust", "quantile")
            for name in CONSTANTS
            if (method, name, "onnx") not in QUICK
        ),
    ],
)
def test_no_prediction_depends_on_a_constant_column(tmp_path: Path, method: str, constant: str, format: str) -> None:
    people(CONSTANTS[constant]).write_csv(tmp_path / "people.csv")
    words = f"--data TableData --data.path {tmp_path}/people.csv --data.target label --data.normalize {method}"
    where = f"--trainer.default_root_dir {tmp_path} --experiment e --run a --figures false"
    assert main(["fit", *f"{words} --model LitMLP --trainer.max_epochs 2 --seed_everything 0 {where}".split()]) == 0
    run = tmp_path / "runs" / "e" / "a"
    assert main(["export", "--ckpt_path", str(run), "--format", format, "--output", str(tmp_path / "out")]) == 0
    for predict in (load(run).predict, load_export(tmp_path / "out").predict):
        rows = [predict(people(value)[:5])["probability_old"].to_list() for value in (0.1, 0.3, -5.0, 1e9)]
        assert rows[1:] == rows[:1] * 3
        assert len(set(rows[0])) == 5


@SCALED
@pytest.mark.parametrize("shape", [(30, 2), (30, 2, 5), (30, 2, 4, 6)])
def test_a_constant_channel_becomes_zero_in_other_rows_too(method: Any, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    x[:, 1] = 7.0
    normalize = learn(x, method)
    found = normalize(torch.cat([x, x + 1e6]))
    assert not found[:, 1].any()
    assert found[:, 0].any()
    restored = normalize.inverse(torch.zeros(2, *shape[1:], dtype=torch.float64))
    assert torch.equal(restored[:, 1], torch.full_like(restored[:, 1], 7.0))


@SCALED
def test_a_grey_channel_of_bytes_becomes_zero_in_other_images_too(method: Any) -> None:
    images = torch.randint(0, 255, (20, 2, 6, 6), dtype=torch.uint8)
    images[:, 1] = 100
    normalize = learn_levels(count_levels(images, torch.arange(20)), method)
    assert not normalize(255 - images)[:, 1].any()


def test_a_value_that_is_rare_is_no_constant() -> None:
    x = torch.zeros(1000, 1, dtype=torch.float64)
    x[0] = 3.0
    assert learn(x, "robust")(x)[0] == 3.0


def test_a_constant_target_is_predicted_in_its_own_units() -> None:
    data = small_data(torch.randn(30, 2), torch.full((30,), 5.0), "regression")
    data.setup("fit")
    assert data.target_statistics is not None
    assert data.target_statistics.scale.tolist() == [1.0]
