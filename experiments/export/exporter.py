"""Export of a run into one folder, which is checked before it is there."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from datamodules import DataError
from datamodules.preprocessing.inputs import TIME
from experiments.export import artifact
from experiments.export.check_rows import CheckRows, check_rows, eager
from experiments.export.exported_predictor import load_export
from experiments.export.formats import export_format
from experiments.export.model_card import CARD, card
from experiments.export.provenance import about_run, run_of
from experiments.export.verification import check, metrics, summary, write_rows
from experiments.inference.predictor import Predictor, load, of_network
from experiments.run.atomic_write import errors_naming, write_json
from experiments.run.checkpoints.best_checkpoint import checkpoint_of
from experiments.run.record.example_row import FILE as EXAMPLE
from experiments.run.record.example_row import read_example, read_ranges


def export(
    path: str | Path | Sequence[str | Path], format: str, output: Path, packages: list[str] | None = None
) -> str:
    """Writes the artefact of a run or a checkpoint, or nothing; returns its files, differences and notes in lines.

    Several paths become one artefact that answers with the mean of their predictions. Raises ``ConfigError`` for a path
    that is no run or a network that cannot be traced, and ``DataError`` for an output that is there, or where the
    artefact answers otherwise than the run.
    """
    if output.exists():
        raise DataError(f"{output} exists; name a folder that does not, or remove it")
    packages = packages or []
    predictor = load(path, "cpu", packages)
    checkpoints = [checkpoint_of(each) for each in ([path] if isinstance(path, str | Path) else path)]
    runs = [run_of(checkpoint) for checkpoint in checkpoints]
    output.parent.mkdir(parents=True, exist_ok=True)
    with errors_naming(output), tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
        folder = Path(name) / output.name
        folder.mkdir()
        rows = check_rows(predictor, runs)
        expected = eager(predictor, rows.raw)
        any_steps = export_format(format).save(predictor, rows.raw, folder)
        write_rows(folder, rows, expected)
        for file, text in predictor.inputs.exported_files().items():
            (folder / file).write_text(text, encoding="utf-8")
        if runs[0] is not None and (example := read_example(runs[0])):
            write_json(folder / EXAMPLE, example | {"ranges": read_ranges(runs[0])})
        content = _content(predictor, rows, expected, format, any_steps) | {"run": about_run(checkpoints)}
        artifact.write(folder, content)  # for the check, which reads the folder as every user does
        content["checked"] |= check(load_export(folder, packages), folder)
        (folder / CARD).write_text(card(content), encoding="utf-8")
        artifact.write(folder, content)
        os.replace(folder, output)
    written = ", ".join(sorted(file.name for file in output.iterdir()))
    notes = [*content["notes"], *_metric_notes(content["checked"])]
    return "\n".join([f"{output}: {written}", summary(content["checked"]), *(f"note: {note}" for note in notes)])


def _content(
    predictor: Predictor, rows: CheckRows, expected: torch.Tensor, format: str, any_steps: bool
) -> dict[str, Any]:
    described, notes = artifact.describe(predictor), []
    names = " and ".join(sorted({type(member.model).__name__ for member in predictor.members}))
    inputs = [spec for spec in described["inputs"] if spec["name"] in rows.raw]
    has_lengths, steps = "lengths" in rows.raw, rows.raw["x"].shape[-1]
    if not (any_steps and has_lengths):
        inputs[0]["shape"] = [steps if size == TIME else size for size in inputs[0]["shape"]]
        if has_lengths:
            notes.append(
                f"{names} has no graph for any number of steps: every row is given padded to "
                f"{steps:,}, with its own number in lengths, and load_export pads"
            )
    recorded = {}
    if rows.target is not None and rows.recorded is not None:
        recorded = metrics(predictor.task, rows.recorded, rows.target, predictor.rule.threshold)
    return {
        "format": format,
        **described,
        "inputs": inputs,
        "output": {**described["output"], "sizes": list(expected.shape[1:])},
        "model": _network(predictor),
        "raw": predictor.inputs.exported_state(),
        "notes": notes,
        "checked": {
            "rows": len(rows.row),
            "test_rows": rows.of,
            "scale": getattr(predictor.model.task, "scale", torch.ones(1)).tolist(),
            "differences": {},
            "metrics": {},
            "metrics_of_run": recorded,
        },
    }


def _network(predictor: Predictor) -> dict[str, Any]:
    """Returns the class and the hyper-parameters of a network, or of each member of an ensemble."""
    networks = [
        {"class_path": class_path(member.model), "hyper_parameters": of_network(member.model.hparams)}
        for member in predictor.members
    ]
    if len(networks) == 1:
        return networks[0]
    return {"class_path": class_path(predictor), "hyper_parameters": {"members": networks}}


def class_path(instance: object) -> str:
    """Returns the class path of an object."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"


def _metric_notes(checked: dict[str, Any]) -> list[str]:
    """Returns a note on metrics that differ from the run's, as those of a run in low precision may."""
    ours, theirs = checked["metrics"], checked["metrics_of_run"]
    off = [
        f"{name} {value:.6g} here and {theirs[name]:.6g} as the run predicted these rows"
        for name, value in ours.items()
        if value is not None and theirs.get(name) is not None and abs(value - theirs[name]) > 1e-6 * max(1, abs(value))
    ]
    return [f"{', '.join(off)}, which happens to runs in less than single precision"] if off else []
