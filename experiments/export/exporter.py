"""``export``: one folder with all that answers as a run does, checked before it is there."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch

from datamodules import DataError
from datamodules.texts.inputs import TextInputs
from experiments.export import artifact, onnx_file, torch_export_file, weights_file
from experiments.export.artifact import FILES, LEARNED
from experiments.export.check_rows import CheckRows, check_rows, eager
from experiments.export.exported_predictor import load_export
from experiments.export.graph import graph_of, trace
from experiments.export.model_card import CARD, card
from experiments.export.provenance import about_run, run_of
from experiments.export.verification import ROWS, check, metrics, said, write_rows
from experiments.inference.predictor import Predictor, load
from experiments.run.checkpoints.best_checkpoint import checkpoint_of

Format = Literal["safetensors", "onnx", "torch-export", "state-dict"]


def export(path: str | Path, format: Format, output: Path, packages: list[str] | None = None) -> str:
    """Write a run's artefact, or nothing.

    Args:
        path: The run's folder, or one of its checkpoints.
        format: Of the weights or the graph.
        output: The folder to make.
        packages: Packages of one's own that the run names classes of, and that are to be trusted.

    Returns:
        What was written, in lines for a person.

    Raises:
        ConfigError: For a path that is no run, or a network that cannot be traced.
        DataError: For an output that is there, or where the artefact answers otherwise than the run.
    """
    if output.exists():
        raise DataError(f"{output} exists; name a folder that does not, or remove it")
    predictor = load(path, "cpu", packages)
    run = run_of(checkpoint_of(path))
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
        folder = Path(name) / output.name
        folder.mkdir()
        lines = _write(predictor, run, checkpoint_of(path), format, folder, packages or [])
        os.replace(folder, output)
    return "\n".join([f"{output}: {', '.join(sorted(one.name for one in output.iterdir()))}", *lines])


def _write(
    predictor: Predictor, run: Path | None, checkpoint: Path, format: Format, folder: Path, packages: list[str]
) -> list[str]:
    rows = check_rows(predictor, run)
    expected = eager(predictor, rows.raw)
    any_steps = True
    if format in ("onnx", "torch-export"):
        any_steps = _write_graph(predictor, rows, format, folder)
    else:
        weights_file.save(predictor, format == "state-dict", folder)
    write_rows(folder, rows, expected)
    files = [FILES[format], ROWS, *([LEARNED] if (folder / LEARNED).exists() else [])]
    if isinstance(predictor.inputs, TextInputs):
        (folder / artifact.VOCABULARY).write_text(predictor.inputs.vocabulary.to_json(), encoding="utf-8")
        files.append(artifact.VOCABULARY)
    content = _content(predictor, rows, expected, format, any_steps) | {"run": about_run(run, checkpoint)}
    artifact.write(folder, content, files)  # for the check, which reads it like everybody else
    found = check(load_export(folder, packages), folder)
    content["checked"] |= {"differences": found.differences, "metrics": found.metrics}
    (folder / CARD).write_text(card(content), encoding="utf-8")
    artifact.write(folder, content, [*files, CARD])
    notes = [*content["notes"], *_told(content["checked"])]
    return [said(content["checked"]), *(f"note: {note}" for note in notes)]


def _write_graph(predictor: Predictor, rows: CheckRows, format: Format, folder: Path) -> bool:
    """Whether rows may have any number of steps."""
    # A batch of one would be a batch of one for ever.
    example = {name: tensor[torch.arange(2) % len(tensor)].clone() for name, tensor in rows.raw.items()}
    traced = trace(graph_of(predictor), example)
    if format == "onnx":
        onnx_file.save(traced.program, example, traced.any_steps, folder / FILES[format])
    else:
        torch_export_file.save(traced.program, folder / FILES[format])
    return traced.any_steps


def _content(
    predictor: Predictor, rows: CheckRows, expected: torch.Tensor, format: Format, any_steps: bool
) -> dict[str, Any]:
    described = artifact.describe(predictor)
    notes = []
    inputs = [one for one in described["inputs"] if one["name"] in rows.raw]
    steps = rows.raw["x"].shape[-1]
    if predictor.model.modality in ("series", "text") and not (any_steps and "lengths" in rows.raw):
        inputs[0]["shape"][-1] = steps
        if "lengths" in rows.raw:
            notes.append(
                f"{type(predictor.model).__name__} has no graph for any number of steps: every row is given padded to "
                f"{steps:,}, with its own number in lengths, and load_export pads"
            )
    scale = getattr(predictor.model.task, "scale", torch.ones(1)).tolist()
    recorded = {}
    if rows.target is not None and rows.recorded is not None:
        recorded = metrics(predictor.task, rows.recorded, rows.target)
    return {
        "format": format,
        **described,
        "inputs": inputs,
        "output": {**described["output"], "sizes": list(expected.shape[1:])},
        "model": json.loads(json.dumps(weights_file.about_model(predictor.model))),
        "raw": artifact.state_of(predictor.inputs),
        "notes": notes,
        "checked": {
            "rows": len(rows.row),
            "test_rows": rows.of,
            "scale": scale,
            "differences": {},
            "metrics": {},
            "metrics_of_run": recorded,
        },
    }


def _told(checked: dict[str, Any]) -> list[str]:
    """Metrics that the run has otherwise, as one in less than single precision may."""
    ours, theirs = checked["metrics"], checked["metrics_of_run"]
    off = [
        f"{name} {value:.6g} here and {theirs[name]:.6g} as the run predicted these rows"
        for name, value in ours.items()
        if value is not None and theirs.get(name) is not None and abs(value - theirs[name]) > 1e-6 * max(1, abs(value))
    ]
    return [f"{', '.join(off)}, which happens to runs in less than single precision"] if off else []
