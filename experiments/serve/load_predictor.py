"""Predictor of a run or an artefact for the server, and its facts for ``/info``."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from datamodules.errors import DataError
from experiments.cli.entry_point import quieten
from experiments.export import artifact
from experiments.export.exported_predictor import Exported, load_export
from experiments.export.provenance import about_run
from experiments.inference.base import Answering
from experiments.inference.predictor import Predictor, load
from experiments.run.checkpoints.best_checkpoint import checkpoint_of
from experiments.run.record.example_row import read_example, read_ranges
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

    return answer, describe(predictor, settings.paths)


def open_predictor(settings: Settings) -> Answering:
    """Loads a run or an artefact; raises ``ConfigError`` for options that an artefact does not have."""
    exported = [path for path in settings.paths if (Path(path) / artifact.FILE).is_file()]
    if not exported:
        predictor = load(settings.paths, settings.device, [*settings.packages])  # type: ignore[arg-type]  # checked there
        for member in predictor.members if settings.compile else ():
            member.model.compile(dynamic=True)
        return predictor
    if len(settings.paths) > 1:
        raise ConfigError(
            f"{exported[0]} is an exported graph, which is served alone; name the runs, or export them together"
        )
    if settings.compile or settings.precision != "32" or settings.device == "cuda":
        raise ConfigError(
            f"{exported[0]} is an exported graph, which computes as it was written, on a CPU; leave --compile, "
            "--precision and --device out, or name the run"
        )
    return load_export(exported[0], [*settings.packages])


def describe(predictor: Answering, paths: Sequence[str]) -> dict[str, Any]:
    """Describes requests and predictions in JSON values: the run with its test metrics, and a test row to begin with.

    Values are missing where neither the run nor the artefact has them.
    """
    signature = predictor.signature if isinstance(predictor, Exported) else artifact.describe(predictor)
    path = Path(paths[0])
    run = _exported_run(signature, path) if isinstance(predictor, Exported) else _trained_runs([*map(Path, paths)])
    example = read_example(path) if isinstance(predictor, Exported) else _example_of(path)
    return {
        "task": predictor.task,
        "rows": predictor.inputs.request_schema(),
        "classes": list(predictor.class_names),
        "targets": list(predictor.target_names),
        "metrics": run.pop("metrics"),
        "run": run,
        "example": example,
        "signature": signature,
    }


def _exported_run(signature: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Returns what an artefact knows of its run: name, data, ranking metric, metrics and their intervals."""
    about = signature.get("run", {})
    facts = {name: about[name] for name in ("data", "rank_by", "intervals") if about.get(name)}
    facts["data"] = str(facts.get("data", "")).rpartition(".")[2]
    return {"name": about.get("id") or folder.resolve().name, **facts, "metrics": about.get("metrics") or {}}


def _trained_runs(paths: Sequence[Path]) -> dict[str, Any]:
    """Returns what the records of runs know of their mean prediction; of one run as ``_trained_run`` does."""
    if len(paths) == 1:
        return _trained_run(paths[0])
    try:
        return _exported_run({"run": about_run([checkpoint_of(path) for path in paths])}, paths[0])
    except (OSError, ConfigError, DataError):
        return {"name": f"{paths[0].resolve().name} and {len(paths) - 1} more", "metrics": {}}


def _trained_run(path: Path) -> dict[str, Any]:
    """Returns what the record of a run knows of it; the name of a folder alone without one."""
    checkpoint = checkpoint_of(path)
    folder = checkpoint.resolve().parent.parent
    try:
        record = read_record(folder)
        source = record["hyperparameters"].get("data.path")
        data = " ".join([record["data"], *([Path(source).name] if isinstance(source, str) else [])])
        metrics = record.get("metrics", {}) if checkpoint.name == "best.ckpt" else {}  # of which the test was
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        name = f"{record['experiment']}/{record['run']}"
        return {"name": name, "data": data, "rank_by": record["rank_by"], "metrics": finite}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, OverflowError, ConfigError, DataError):
        return {"name": folder.name, "metrics": {}}


def _example_of(path: Path) -> dict[str, Any]:
    folder = checkpoint_of(path).resolve().parent.parent
    return read_example(folder) | {"ranges": read_ranges(folder)}
