"""Predictor of a run or an artefact for the server, and its facts for ``/info``."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.cli.entry_point import quieten
from experiments.export import artifact
from experiments.export.exported_predictor import Exported, load_export
from experiments.inference.base import Answering
from experiments.inference.predictor import Predictor, load
from experiments.run.record.record_io import read_record
from experiments.serve.batching import Answers, Reply
from experiments.serve.server_settings import Body, Settings
from lit_models import ConfigError


def open_answers(settings: Settings) -> tuple[Callable[[list[Body]], list[Reply]], dict[str, Any]]:
    """Returns a function from requests to replies, and the facts of ``/info``."""
    quieten()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    predictor = open_predictor(settings)
    answers, low = Answers(predictor, settings.max_rows), settings.precision == "bf16"
    device = predictor.device.type if isinstance(predictor, Predictor) else "cpu"

    def answer(bodies: list[Body]) -> list[Reply]:
        with torch.autocast(device, torch.bfloat16, enabled=low):
            return answers(bodies)

    return answer, describe(predictor, settings.path)


def open_predictor(settings: Settings) -> Answering:
    """Loads a run or an artefact; raises ``ConfigError`` for options that an artefact does not have."""
    if not (Path(settings.path) / artifact.FILE).is_file():
        predictor = load(settings.path, settings.device, [*settings.packages])  # type: ignore[arg-type]  # checked there
        if settings.compile:
            predictor.model.compile(dynamic=True)
        return predictor
    if settings.compile or settings.precision != "32" or settings.device == "cuda":
        raise ConfigError(
            f"{settings.path} is an exported graph, which computes as it was written, on a CPU; leave --compile, "
            "--precision and --device out, or name the run"
        )
    return load_export(settings.path, [*settings.packages])


def describe(predictor: Answering, path: str) -> dict[str, Any]:
    """Describes requests and predictions in JSON values, with the finite test metrics of a run that are there."""
    about = predictor.signature if isinstance(predictor, Exported) else artifact.describe(predictor)
    metrics = about.get("run", {}).get("metrics")
    if not metrics:
        try:
            recorded = read_record(Path(path))["metrics"]
            metrics = {name: value for name, value in recorded.items() if math.isfinite(value)}
        except (OSError, ValueError, KeyError, AttributeError, TypeError, OverflowError):
            metrics = {}
    return {
        "task": predictor.task,
        "rows": predictor.inputs.request_schema(),
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        "metrics": metrics,
        "signature": about,
    }
