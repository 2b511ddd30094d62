"""What answers, and what a person reads of it at ``/info``."""

import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from datamodules.imaging.inputs import ImageInputs
from datamodules.inputs import ArrayInputs
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.inference import Predictor, load
from experiments.quiet import quieten
from experiments.serve.answering import Answers, Reply
from experiments.serve.bodies import takes
from experiments.serve.messages import CSV, IMAGE, JSON, Body, Settings


def open_answers(settings: Settings) -> tuple[Callable[[list[Body]], list[Reply]], dict[str, Any]]:
    """What answers requests, and what it is in plain values for JSON.

    Raises:
        ConfigError: For a path that is no run.
        DataError: Where the run does not say what its inputs look like.
    """
    quieten()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    predictor = load(settings.path, settings.device, settings.packages)  # type: ignore[arg-type]  # checked there
    if settings.compile:
        predictor.model.compile(dynamic=True)
    answers = Answers(predictor, settings.max_rows)
    low = settings.precision == "bf16"

    def answer(bodies: list[Body]) -> list[Reply]:
        with torch.autocast(predictor.device.type, torch.bfloat16, enabled=low):
            return answers(bodies)

    return answer, describe(predictor, settings.path)


def describe(predictor: Predictor, path: str) -> dict[str, Any]:
    """What goes in and what comes out, as plain values for JSON."""
    return {
        "task": predictor.model.task.name,
        "modality": predictor.model.modality,
        "inputs": _inputs(predictor.inputs),
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        "metrics": _metrics(path),
        "versions": {name: _version(name) for name in ("evenhand", "torch", "litserve")},
    }


def _inputs(inputs: Any) -> dict[str, Any]:
    """What a request may hold, and of what names, types and shapes."""
    types = [JSON, *([CSV] if "objects" in takes(inputs) else []), *([f"{IMAGE}*"] * isinstance(inputs, ImageInputs))]
    rows = ["base64" if one == "texts" and isinstance(inputs, ImageInputs) else one for one in takes(inputs)]
    found: dict[str, Any] = {"content_types": types, "rows": rows}
    match inputs:
        case TableInputs():
            known = inputs.encoding.categories
            return found | {"columns": [
                {"name": name, "type": kind, "stored": came, "categories": known.get(name)}
                for name, (kind, came) in inputs.kinds.items()
            ]}  # fmt: skip
        case TextInputs():
            return found | {
                "columns": [{"name": name, "type": "text"} for name in inputs.columns],
                "tokens": inputs.steps,
            }
        case SeriesInputs():
            table = {"id": inputs.id, "step": inputs.step} if inputs.id is not None else {}
            window = {"window": inputs.window, "stride": inputs.stride} if inputs.window is not None else {}
            return found | {"channels": [*inputs.channels], "steps": inputs.steps} | table | window
        case ImageInputs():
            return found | {"channels": inputs.channels, "size": [*inputs.size], "resize": inputs.resize}
        case ArrayInputs():
            return found | {"shape": [*inputs.shape]}
    return found


def _metrics(path: str) -> dict[str, Any]:
    """Of the run's test, where its record still stands beside; a number that JSON has not is left out."""
    try:
        record = json.loads((Path(path) / "record.json").read_text())
        return {
            name: value for name, value in record["metrics"].items() if value == value and abs(value) < float("inf")
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
