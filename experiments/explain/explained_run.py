"""Trained runs with the raw rows of a split, from their checkpoints and the data that these were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from torch import Tensor

from datamodules import DataError, DataModule
from datamodules.preprocessing.permuted_features import Feature, Tensors
from experiments import safe_yaml
from experiments.cli.fit_parser import load_data
from experiments.inference.ensemble_check import check_different
from experiments.inference.predictor import Device, Predictor, load
from experiments.run.checkpoints.best_checkpoint import checkpoint_of, config_in
from experiments.run.checkpoints.checkpoint_io import read
from experiments.run.record.look_callback import finite, rows_tested, run_of, weights_digest
from experiments.run.record.look_ledger import Look, root_of_run, write_look
from experiments.run.record.run_directory import root_of
from lit_models import ConfigError
from lit_models.tasks import Task

SplitName = Literal["val", "test"]
NAMES: dict[SplitName, str] = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class ExplainedRun:
    """A trained run with the rows on which it is explained."""

    predictor: Predictor
    checkpoint: Path
    data: str  # class of the data module
    fingerprints: dict[str, str]  # of the data and of the split
    row: Tensor  # ids (N,)
    rows: Tensors  # raw rows, as ``predictor.inputs.unprepared()`` has them
    target: Tensor  # (N, ...)
    weights: str  # digest of the network's weights, for the ledger of looks
    tested: dict[str, Any]  # what identifies the rows in the ledger

    @property
    def task(self) -> Task:
        """Task of the network, with the metric that ranks runs."""
        task: Task = self.predictor.model.task
        return task

    @property
    def folder(self) -> Path | None:
        """Folder of the run; None for a checkpoint outside of a run."""
        return run_of(self.checkpoint.absolute())

    def features(self) -> list[Feature]:
        """Returns the features of the rows."""
        return self.predictor.inputs.features(self.rows)

    def metrics(self, prediction: Tensor) -> dict[str, float]:
        """Computes the metrics of predictions (N, ...) by name, as an evaluation does."""
        values = {}
        for name, metric in self.task.metrics().items():
            metric.update(prediction, self.task.metric_target(self.target))
            values[name] = float(metric.compute())
        return values


def read_runs(paths: Sequence[str | Path], split: SplitName, device: Device, packages: list[str]) -> list[ExplainedRun]:
    """Reads runs of the same data and split; a look at test rows is written into the ledgers.

    Raises:
        ConfigError: For a path that is no run, or runs of other data, another split or other features.
        DataError: If the data cannot be read, are other ones now, or have no rows in the split.
    """
    check_different(paths)
    loaded: dict[str, DataModule] = {}
    runs = [_read(checkpoint_of(path), split, device, packages, loaded) for path in paths]
    first = runs[0]
    features = [(feature.kind, feature.name) for feature in first.features()]
    for path, run in zip(paths, runs, strict=True):
        other = next((name for name in ("data", "split") if run.fingerprints[name] != first.fingerprints[name]), "")
        if not other and [(feature.kind, feature.name) for feature in run.features()] != features:
            other = "features"
        if other:
            raise ConfigError(
                f"--ckpt_path {path} has other {other} than {paths[0]}, and a mean over them has no meaning; name runs "
                "of the same data that differ in their seeds"
            )
    if split == "test":
        for run in runs:
            _write_look(run)
    return runs


def _read(
    checkpoint: Path, split: SplitName, device: Device, packages: list[str], loaded: dict[str, DataModule]
) -> ExplainedRun:
    predictor = load(checkpoint, device, packages)
    key = yaml.safe_dump(safe_yaml.load(config_in(str(checkpoint), for_fit=False))["data"])
    if key not in loaded:
        loaded[key] = load_data(["explain", "--ckpt_path", str(checkpoint)])[1]
        loaded[key].setup("validate" if split == "val" else "test")
    data, content = loaded[key], read(checkpoint)
    data.load_state_dict(content[type(data).__qualname__])
    if not data.part_rows()[split]:
        raise DataError(f"{type(data).__name__} has no {NAMES[split]} rows in this split; add --split test")
    batch = data.part(split)
    return ExplainedRun(
        predictor,
        checkpoint,
        type(data).__name__,
        data.fingerprints(),
        batch["row"],
        {name: tensor.cpu() for name, tensor in data.unprepared(batch["row"]).items()},
        batch["y"],
        weights_digest(content["state_dict"]),
        rows_tested(data, batch["row"]),
    )


def _write_look(run: ExplainedRun) -> None:
    """Writes a look at the test rows, as an evaluation does, before anything of them is shown."""
    folder, file = run.folder, run.checkpoint.absolute()
    metrics = run.metrics(run.predictor.compute_raw(run.rows))
    look = Look(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command="explain",
        experiment=folder.parent.name if folder else "",
        run=folder.name if folder else "",
        file=str(file.relative_to(folder) if folder else file),
        checkpoint=run.weights,
        **run.tested,
        metrics=finite(metrics),
    )
    root = root_of(None) if folder is None else root_of_run(folder)
    write_look(look, [each for each in (folder, root) if each is not None])
