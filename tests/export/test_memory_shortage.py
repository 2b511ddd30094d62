"""A shortage of memory is reported as one: neither an artefact, a run nor a row is to blame for it."""

import json
from pathlib import Path
from typing import Any

import polars
import pytest
import torch
from paths import REPOSITORY

from experiments.__main__ import main
from experiments.export import load_export
from experiments.serve.batching import Answers
from experiments.serve.server_settings import Body

STORED = REPOSITORY / "tests/stored"
RUN = STORED / "run_folders/finished"
SHORTAGES = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
)


def failing(error: Exception) -> Any:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_a_request_is_not_refused_for_it(error: Exception) -> None:
    predictor = load_export(STORED / "exports/onnx")
    predictor.graph = failing(error)
    frame = polars.read_csv(STORED / "new.csv", columns=["length", "width", "colour", "day"])[:2]
    body = Body("application/json", json.dumps({"rows": frame.to_dicts()}).encode())
    with pytest.raises(type(error)) as raised:
        Answers(predictor, 100)([body])
    assert raised.value is error


@pytest.mark.parametrize(
    ("function", "format"),
    [
        ("experiments.export.exported_predictor.import_inputs", "onnx"),
        ("onnxruntime.InferenceSession", "onnx"),
        ("torch.export.load", "torch-export"),
        ("experiments.export.weights_file.build_model", "safetensors"),
        ("experiments.export.verification.check", "state-dict"),
        ("experiments.inference.predictor.build_model", None),
    ],
)
def test_a_command_says_that_memory_is_short(
    function: str, format: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Any
) -> None:
    words = ["export", "--verify", str(STORED / f"exports/{format}")]
    if format is None:
        words = ["predict", "--ckpt_path", str(RUN), "--input", str(STORED / "new.csv")]
        words += ["--output", str(tmp_path / "out.csv")]
    monkeypatch.setattr(function, failing(MemoryError()))
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert capfd.readouterr().err.startswith("error: there is not enough memory")
