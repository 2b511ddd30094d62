"""The record: what a run was, how it went, and what it predicted."""

import json
import os
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from datamodules import DataModule
from experiments.run.checkpoints import CONFIG
from experiments.run.directory import LAUNCHED, RunDirectory
from experiments.run.hyperparameters import curated, flat_hyperparameters
from experiments.run.identity import identity
from experiments.run.predictions import write_predictions
from experiments.run.tensorboard import RunLogger
from lit_models import LitModel

STATUS = ("running", "finished", "interrupted", "failed")


class RunRecord(Callback):
    """Writes ``config.yaml`` and ``record.json`` before the first step, and the outcome at the end.

    The folder is made only once data, model and optimizer are there: what cannot start leaves no half-made run.

    Args:
        directory: Where the run lives.
        config: The configuration as it runs, YAML text that ``-c`` takes.
        command: The words that started it.
    """

    def __init__(self, directory: RunDirectory, config: str, command: list[str]) -> None:
        self.directory = directory
        self.config = config
        self.content: dict[str, Any] = {"command": shlex.join(command)}
        self._started = 0.0
        os.environ[LAUNCHED] = directory.run  # read by processes that are launched from here

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Everything that is known before the first step."""
        os.environ.pop(LAUNCHED, None)  # they are launched by now, and the next fit in this process is another run
        self._started = time.monotonic()
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        model, split = cast(LitModel, pl_module), data.split
        config = yaml.safe_load(self.config)
        self.content |= {
            "experiment": self.directory.experiment,
            "run": self.directory.run,
            "status": "running",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": type(model).__name__,
            "data": type(data).__name__,
            "task": data.task,
            "seed": config["seed_everything"],
            "rank_by": f"test/{model.task.rank_by}",
            "parameters": sum(one.numel() for one in model.parameters() if one.requires_grad),
            "rows": {} if split is None else {part: len(index) for part, index in split._asdict().items()},
            "fingerprints": data.fingerprints(),
            "notes": list(data.notes),
            "hyperparameters": flat_hyperparameters(config),
            **identity(trainer),
        }
        if trainer.is_global_zero:
            self.directory.path.mkdir(parents=True, exist_ok=True)
            (self.directory.path / "config.yaml").write_text(self.config)
            self._write()
            print("\n".join((self.heading(), *data.notes)), flush=True)
            if isinstance(trainer.logger, RunLogger):
                metrics = [f"test/{name}" for name in (*model.metrics, "loss")]
                trainer.logger.open_session(curated(self.content["hyperparameters"]), metrics)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the configuration into every checkpoint, so that one file is enough."""
        checkpoint[CONFIG] = self.config

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """How long it took."""
        self.content |= {"seconds": time.monotonic() - self._started, "epochs": trainer.current_epoch}
        evaluation = cast(LitModel, pl_module).evaluation
        self.content["validation"] = evaluation and evaluation.metrics

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The test metrics, and each test row's prediction."""
        evaluation = cast(LitModel, pl_module).evaluation
        assert evaluation is not None
        self.content["metrics"] = {f"test/{name}": value for name, value in evaluation.metrics.items()}
        if trainer.is_global_zero:
            classes = trainer.datamodule.class_names  # type: ignore[attr-defined]
            columns = {"row": evaluation.row, "target": evaluation.target, "prediction": evaluation.prediction}
            write_predictions(self.directory.path / "predictions.parquet", columns, classes)
            self._finish("finished")
            if isinstance(trainer.logger, RunLogger):
                trainer.logger.close_session()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say how it ended, unless it had not begun."""
        if self._started and trainer.is_global_zero:
            self._finish("interrupted" if isinstance(exception, KeyboardInterrupt) else "failed")

    def heading(self) -> str:
        """What is about to run, in one line."""
        said = self.content
        rows = ", ".join(f"{count:,} {part}" for part, count in said["rows"].items())
        return (
            f"{said['model']} ({said['parameters']:,} parameters) on {said['data']} ({rows} rows), "
            f"{said['device']['type']}, seed {said['seed']}: {self.directory.path}"
        )

    def summary(self) -> str:
        """What a person wants to read at the end."""
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in self.content["metrics"].items())
        here = self.directory
        return (
            f"{here.run}: {self.content['parameters']:,} parameters, {self.content['seconds']:.1f} s\n{metrics}\n"
            f"run: {here.path}\ncurves: tensorboard --logdir {here.root / here.experiment}"
        )

    def _finish(self, status: str) -> None:
        self.content |= {"status": status, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
        self._write()

    def _write(self) -> None:
        path = self.directory.path / "record.json"
        temporary = path.with_suffix(".json.new")
        temporary.write_text(json.dumps(self.content, indent=2) + "\n")
        os.replace(temporary, path)


def read_record(path: Path) -> dict[str, Any]:
    """A run's record; NaN stands for a metric that is undefined there."""
    content: dict[str, Any] = json.loads((path / "record.json").read_text())
    return content
