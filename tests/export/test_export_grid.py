"""``evenhand export`` of every architecture, modality and format, from runs whose data are gone."""

import json
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from exported_runs import FORMATS, SMALL, Finished, finished, numbers

from experiments.__main__ import main
from experiments.export import load_export
from experiments.inference import load

MODALITIES = ("table", "image", "series", "text")

DIAGONAL = [
    ("table", "LitMLP", "onnx"),
    ("table", "LitTabM", "torch-export"),
    ("image", "LitCNN", "torch-export"),
    ("series", "LitCNN", "onnx"),
    ("series", "LitRNN", "onnx"),
    ("series", "LitLinear", "safetensors"),
    ("text", "LitTransformer", "torch-export"),
    ("text", "LitRNN", "state-dict"),
]
"""Each modality, architecture and format once, for the quick suite; a graph of recurrent networks takes seconds."""


def check(run: Finished, format: str, output: Path) -> dict[str, Any]:
    """Export through the public door; the signature's words are true, and the answers those of the run."""
    assert main(["export", "--ckpt_path", str(run.path), "--format", format, "--output", str(output)]) == 0
    about = json.loads((output / "signature.json").read_text())
    found = about["checked"]
    batches = {name.split()[0] for name in found["differences"]}
    assert batches == {"1", "2", "64", "all"}
    assert max(found["differences"].values()) <= 1e-5
    assert found["rows"] == found["test_rows"] == len(run.recorded)
    of_run = run.record["metrics"]
    assert {name: f"{value:.6f}" for name, value in found["metrics"].items() if f"test/{name}" in of_run} == {
        name[5:]: f"{value:.6f}" for name, value in of_run.items() if name != "test/loss"
    }
    exported = load_export(output)
    got, want = exported.predict(run.rows), load(run.path).predict(run.rows)
    assert got.schema == want.schema
    assert numpy.abs(numbers(got) - numbers(want)).max() <= 1e-5
    assert got["prediction"].equals(want["prediction"])
    recorded = run.recorded.select(polars.col("^prediction.*$")).to_numpy()
    assert numpy.abs(numbers(got)[:, -recorded.shape[1] :] - recorded).max() <= 1e-5
    alone = numbers(exported.predict(run.rows[:1]))
    assert numpy.abs(alone - numbers(got)[:1]).max() <= 1e-5
    assert main(["export", "--verify", str(output)]) == 0
    return about


@pytest.mark.parametrize(("modality", "model", "format"), DIAGONAL)
def test_the_diagonal(modality: str, model: str, format: str, tmp_path: Path) -> None:
    check(finished(tmp_path / "run", modality, model), format, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("model", SMALL)
def test_the_whole_grid(model: str, tmp_path: Path) -> None:
    """Prints an architecture's row of the table that docs/export.md shows."""
    cells = []
    for modality in MODALITIES:
        run = finished(tmp_path / modality, modality, model)
        found = {format: check(run, format, tmp_path / modality / format) for format in FORMATS}
        differences = [f"{max(found[format]['checked']['differences'].values()):.0e}" for format in FORMATS[:3]]
        x = found["onnx"]["inputs"][0]["shape"]
        steps = {"time": ", any steps"}.get(x[-1], ", padded") if modality in ("series", "text") else ""
        cells.append(" / ".join(differences) + steps)
    print(f"\n| {model} | {' | '.join(cells)} |")
