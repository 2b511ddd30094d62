"""A new export format is a file with a class, and a line in ``FORMATS``."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from exported_runs import finished
from paths import REPOSITORY
from torch import Tensor

from experiments.__main__ import main
from experiments.export import load_export
from experiments.export.formats import FORMATS, ExportFormat, Graph
from experiments.inference.predictor import Predictor


class JSONWeights(ExportFormat):
    """Weights and biases of a linear model on numbers alone, as JSON."""

    def save(self, predictor: Predictor, raw: dict[str, Tensor], folder: Path) -> bool:
        head = next(module for module in predictor.model.modules() if isinstance(module, torch.nn.Linear))
        prepared = predictor.inputs.preprocessor().normalize
        linear = {"weight": head.weight, "bias": head.bias, **dict(prepared.named_buffers())}
        (folder / "model.weights").write_text(json.dumps({name: value.tolist() for name, value in linear.items()}))
        return True

    def load(self, folder: Path, about: dict[str, Any], files: Mapping[str, str], packages: list[str]) -> Graph:
        read = json.loads((folder / "model.weights").read_text())
        weight, bias, center, scale = (torch.tensor(read[name]).double() for name in
                                       ("weight", "bias", "center", "scale"))  # fmt: skip
        return lambda raw: (((raw["x"] - center) / scale) @ weight.T + bias).sigmoid().squeeze(1)


LEFT_OUT = ("--data.missing_columns", "false")


def test_a_format_is_a_class_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(FORMATS, "json", (f"{__name__}.JSONWeights", "the weights of a linear model as JSON"))
    run = finished(tmp_path / "run", "table", "LitLinear", "--data.drop", "[city,member]", *LEFT_OUT)
    output = tmp_path / "out"
    assert main(["export", "--ckpt_path", str(run.path), "--format", "json", "--output", str(output)]) == 0
    assert {"model.weights", "signature.json", "MODEL_CARD.md", "rows.safetensors", "example.json"} == {
        file.name for file in output.iterdir()
    }
    found = load_export(output).predict(run.rows.with_columns(polars.col("age").fill_null(0)))
    assert len(found) == len(run.rows)
    assert main(["export", "--verify", str(output)]) == 0
    monkeypatch.delitem(FORMATS, "json")
    with pytest.raises(SystemExit):
        main(["export", "--ckpt_path", str(run.path), "--format", "json", "--output", str(tmp_path / "other")])
    assert "invalid choice: 'json'" in capsys.readouterr().err


def test_help_imports_no_torch() -> None:
    program = "import sys; from experiments.__main__ import main; main(['export', '--help']); assert 'torch' not in "
    program += "sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "evenhand export --ckpt_path runs/tabledata/a --format onnx --output" in done.stdout


@pytest.mark.parametrize("failure", [None, RuntimeError("no such operator")])
def test_onnx_leaves_the_level_of_the_logger_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    levels = []
    whole, logger = torch.onnx.export, logging.getLogger("torch.onnx")
    monkeypatch.setattr(logger, "level", logging.INFO)

    def export(*arguments: Any, **options: Any) -> Any:
        levels.append(logger.level)
        if failure is not None:
            raise failure
        return whole(*arguments, **options)

    monkeypatch.setattr(torch.onnx, "export", export)
    words = [
        "export",
        "--ckpt_path",
        str(REPOSITORY / "tests/stored/run_folders/finished"),
        "--format",
        "onnx",
        "--output",
        str(tmp_path / "out"),
    ]
    if failure is None:
        assert main(words) == 0
    else:
        with pytest.raises(SystemExit, match="2"):
            main(words)
    assert levels == [logging.ERROR]
    assert logger.level == logging.INFO
