"""The test rows that are kept with a run, on which an export is verified, come evenly from all of its test rows."""

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import load_file

from datamodules import InMemoryData, Rows
from experiments.__main__ import main

TRAIN = 90
MOST_BYTES, MOST_ROWS = 4 << 20, 20_000
"""The limits that the documentation names."""


class ByClass(InMemoryData):
    """Rows of three unequal classes, of which the test rows are sorted by their class.

    Args:
        features: Numbers of a row.
        test_rows: How many rows test.
        falling: Whether the last class comes first.
        kwargs: See ``InMemoryData``.
    """

    task = "multiclass"
    modality = "table"
    num_outputs = 3

    def __init__(self, features: int = 2, test_rows: int = 30, falling: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"duplicates": "ignore", "normalize": "none"} | kwargs)
        self.features_, self.test_rows, self.falling = features, test_rows, falling
        self.input_shape = (features,)

    def load(self) -> Rows:
        rows = TRAIN + self.test_rows
        x = torch.arange(rows * self.features_, dtype=torch.float32).remainder_(1009).view(rows, self.features_)
        tested = (torch.arange(self.test_rows) / self.test_rows > torch.tensor([[0.5], [0.8]])).sum(dim=0)
        y = torch.cat([torch.arange(TRAIN) % 3, 2 - tested if self.falling else tested])
        return Rows(x, y, test=torch.arange(TRAIN, rows))


@pytest.mark.parametrize(
    ("features", "test_rows", "falling", "limit"),
    [
        (1024, 700, True, MOST_BYTES // (8 * 1024 + 8)),
        (2, 50_000, False, MOST_ROWS),
        (2, 300, True, 300),
    ],
    ids=["bytes", "rows", "all"],
)
def test_the_kept_rows_are_spread_over_all_test_rows(
    tmp_path: Path, features: int, test_rows: int, falling: bool, limit: int
) -> None:
    words = (
        "fit --trust test_export_sample_rows --data test_export_sample_rows.ByClass --model LitLinear --figures false "
    )
    words += f"--data.features {features} --data.test_rows {test_rows} --data.falling {str(falling).lower()} "
    words += f"--trainer.max_epochs 1 --experiment e --run one --trainer.default_root_dir {tmp_path}"
    assert main(words.split()) == 0
    kept = load_file(tmp_path / "runs/e/one/test_rows.safetensors")
    row = kept["row"].numpy()
    assert limit * 0.99 <= len(row) <= limit
    rows = ByClass(features, test_rows, falling).load()
    assert torch.equal(kept["x"].float(), rows.x[kept["row"]])
    evenly = numpy.linspace(TRAIN, TRAIN + test_rows - 1, len(row))
    assert abs(row - evenly).max() <= 1
    fractions = [
        numpy.bincount(rows.y[some].numpy(), minlength=3) / len(some) for some in (row, range(TRAIN, TRAIN + test_rows))
    ]
    assert fractions[0] == pytest.approx(fractions[1], abs=2 / len(row))
