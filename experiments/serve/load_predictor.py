"""What answers, and what a person reads of it at ``/info``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from datamodules.imaging.inputs import ImageInputs
from datamodules.preprocessing.inputs import ArrayInputs
from datamodules.sequences.inputs import SeriesInputs
from datamodules.tables.inputs import TableInputs
from datamodules.texts.inputs import TextInputs
from experiments.cli.entry_point import quieten
from experiments.export import artifact
from experiments.export.exported_predictor import Exported, load_export
from experiments.inference.base import Answering
from experiments.inference.predictor import Predictor, load
from experiments.run.record.record_io import read_record
from experiments.serve.batching import Answers, Reply
from experiments.serve.request_rows import takes
from experiments.serve.server_settings import CSV, IMAGE, JSON, Body, Settings
from lit_models import ConfigError


def open_answers(settings: Settings) -> tuple[Callable[[list[Body]], list[Reply]], dict[str, Any]]:
    """What answers requests, and what it is in plain values for JSON.

    Raises:
        ConfigError: For a path that is no run.
        DataError: Where the run does not say what its inputs look like.
    """
    quieten()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    predictor = open_predictor(settings)
    answers = Answers(predictor, settings.max_rows)
    if not isinstance(predictor, Predictor):
        return answers, describe(predictor, settings.path)
    device, low = predictor.device.type, settings.precision == "bf16"

    def answer(bodies: list[Body]) -> list[Reply]:
        with torch.autocast(device, torch.bfloat16, enabled=low):
            return answers(bodies)

    return answer, describe(predictor, settings.path)


def open_predictor(settings: Settings) -> Answering:
    """A run, or what ``evenhand export`` made of one.

    Raises:
        ConfigError: For a path that is none, or where an artefact is to compute in another way than its own.
        DataError: Where it does not say what its inputs look like.
    """
    if not (Path(settings.path) / artifact.FILE).is_file():
        predictor = load(settings.path, settings.device, settings.packages)  # type: ignore[arg-type]  # checked there
        if settings.compile:
            predictor.model.compile(dynamic=True)
        return predictor
    if settings.compile or settings.precision != "32" or settings.device == "cuda":
        raise ConfigError(
            f"{settings.path} is an exported graph, which computes as it was written, on a CPU; leave --compile, "
            "--precision and --device out, or name the run"
        )
    return load_export(settings.path, settings.packages)


def describe(predictor: Answering, path: str) -> dict[str, Any]:
    """What goes in and what comes out, as plain values for JSON: what a request may hold, and the artifact."""
    about = predictor.signature if isinstance(predictor, Exported) else artifact.describe(predictor)
    return {
        "task": predictor.task,
        "rows": _inputs(predictor.inputs),
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        "metrics": about.get("run", {}).get("metrics") or _metrics(path),
        "signature": about,
    }


def _inputs(inputs: Any) -> dict[str, Any]:
    """What a request may hold, and of what names, types and shapes."""
    types = [JSON, *([CSV] if "objects" in takes(inputs) else []), *([f"{IMAGE}*"] * isinstance(inputs, ImageInputs))]
    rows = ["base64" if one == "texts" and isinstance(inputs, ImageInputs) else one for one in takes(inputs)]
    found: dict[str, Any] = {"content_types": types, "kinds": rows}
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
        record = read_record(Path(path))
        return {
            name: value for name, value in record["metrics"].items() if value == value and abs(value) < float("inf")
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
