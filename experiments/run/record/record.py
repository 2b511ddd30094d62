"""The record of a run: ``config.yaml`` and ``record.json``, with the predictions of validation and test rows."""

import os
import shlex
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from typing_extensions import override

from datamodules import DataModule
from experiments import safe_yaml
from experiments.exit_codes import Diverged, Interrupted
from experiments.figures.tensorboard_figures import write_figures
from experiments.run.atomic_write import whole_folder, write_json
from experiments.run.checkpoints.checkpoint_io import CONFIG, read
from experiments.run.precision import slow_precision_notes
from experiments.run.record.artifacts import write_data, write_predictions
from experiments.run.record.config_diff import Start
from experiments.run.record.decision_record import fitted, tested
from experiments.run.record.example_row import keep_example
from experiments.run.record.export_samples import keep_test_rows
from experiments.run.record.forward_flops import forward_flops
from experiments.run.record.hyperparameters import curated
from experiments.run.record.metadata import heading, metadata, step_sentence
from experiments.run.record.method_checks import check_run
from experiments.run.record.record_io import read_record
from experiments.run.record.run_directory import LAUNCHED, RunDirectory, keep_config
from experiments.run.record.tensorboard import RunLogger
from experiments.run.record.training_end import chosen, interruption, stop_reason
from experiments.run.record.weights_origin import origin_notes
from experiments.run.resume.exact_state import KEY as RESUME
from experiments.terminal import say
from lit_models import LitModel
from lit_models.metrics.evaluation import Evaluation
from lit_models.training.pretrained_weights import note

KEY = "evenhand_record"
"""Key of the training time so far in a checkpoint."""


class RunRecord(Callback):
    """Writes ``config.yaml`` and ``record.json`` before the first step, and the outcome at the end.

    The folder appears with both of them at once, and only if data, model and optimizer exist. ``config`` is the
    configuration as it runs, YAML text that ``-c`` takes.
    """

    def __init__(self, directory: RunDirectory, config: str, command: list[str], start: Start, figures: bool) -> None:
        self.directory = directory
        self.config = config
        self.start = start
        self.figures = figures
        self.content: dict[str, Any] = {"command": shlex.join(command)}
        self._size: dict[str, int | None] = {}
        self._started = 0.0
        self._seconds = 0.0  # of the sessions before this one
        self._loaded: dict[str, Any] | None = None
        os.environ[LAUNCHED] = directory.run  # read by processes that are launched from here

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Counted before FSDP leaves each process a part of the parameters.
        self._size = {"parameters": sum(weight.numel() for weight in pl_module.parameters() if weight.requires_grad)}
        if stage == "fit":
            self._size["flops"] = forward_flops(cast(LitModel, pl_module))
        late = stage == "fit" and trainer.strategy.restore_checkpoint_after_setup
        if late and self.start.checkpoint is not None:
            self.on_load_checkpoint(trainer, pl_module, read(self.start.checkpoint))  # Lightning's comes too late

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        os.environ.pop(LAUNCHED, None)  # they are launched by now, and the next fit in this process is another run
        self._started = time.monotonic()
        config, model = safe_yaml.load(self.config), cast(LitModel, pl_module)
        self.content |= metadata(self.directory, config, trainer, model, self._size)
        tuning = model.fine_tuning
        if weights := self._loaded["weights"] if self._loaded is not None else tuning.loaded:
            self.content["weights"] = weights
            self.content["notes"] += [note(weights), *origin_notes(weights, self.content["fingerprints"])]
        self.content["notes"] += tuning.notes()
        if self.start.again:
            self.content["started"] = read_record(self.directory.path)["started"]
        if self._loaded is not None:
            self._seconds, self.content["validation"] = self._loaded["seconds"], self._loaded["validation"]
            resumption = {
                "checkpoint": str(self.start.checkpoint),
                "epoch": self._loaded["epoch"],
                "step": self._loaded["step"],
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "changed": {name: list(values) for name, values in self.start.changes.values.items()},
            }
            self.content["resumed"] = [*self._loaded["resumed"], resumption]
            before, now = self._loaded.get("threads"), torch.get_num_threads()
            if before not in (None, now) and trainer.strategy.root_device.type == "cpu":
                self.content["notes"].append(
                    f"the checkpoint was trained with {before} threads and goes on with {now}, which may change last "
                    f"digits; OMP_NUM_THREADS={before} keeps them"
                )
        if trainer.is_global_zero:
            with whole_folder(self.directory.path) as folder:
                suspicions = write_data(folder, _data(trainer))
                self.content["config"] = keep_config(folder, self.config)
                self._write(folder)
            notes = slow_precision_notes(str(trainer.precision), trainer.strategy.root_device)
            lines = (heading(self.content, self.directory), step_sentence(self.content["step"]))
            looks = [f"look: {suspicion}" for suspicion in suspicions]
            say("\n".join((*lines, *self.content["notes"], *looks, *notes)))
            if self._loaded is not None:
                position = f"epoch {self._loaded['epoch']}, after step {self._loaded['step']}"
                say(f"resumes from {self.start.checkpoint}: {position}")
            self.start.changes.show()
            if isinstance(trainer.logger, RunLogger):
                logged = self._loaded["logged_steps"] if self._loaded else 0
                parameters = curated(self.content["hyperparameters"])
                trainer.logger.open_session(parameters, logged if self.start.again else None, model.metrics)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[CONFIG] = self.config  # so that the checkpoint alone is enough
        checkpoint[KEY] = {
            "seconds": self._seconds + time.monotonic() - self._started,
            "validation": self._validation(pl_module),
            "resumed": self.content.get("resumed", []),
            "threads": torch.get_num_threads(),
            "weights": self.content.get("weights"),
        }

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            entry = {"weights": None, **checkpoint.get(KEY, {"seconds": 0.0, "validation": None, "resumed": []})}
            epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
            steps = {"step": checkpoint["global_step"], "epoch": epochs + 1}  # the epoch that it goes on in
            self._loaded = {**entry, **steps, "logged_steps": checkpoint.get(RESUME, {}).get("logged_steps", 0)}
        elif KEY in checkpoint:
            if "decisions" not in self.content:  # else it has the metrics with the decisions
                self.content["validation"] = checkpoint[KEY]["validation"]
            if "epochs" in self.content:
                self.content["chosen"] = chosen(trainer, checkpoint)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = self._seconds + time.monotonic() - self._started
        self.content |= {"seconds": seconds, "epochs": trainer.current_epoch, "stopped": stop_reason(trainer)}
        if (compiled := cast(LitModel, pl_module).compiled) is not None:
            self.content["compiled_graphs"] = compiled.graphs
        self.content["validation"] = self._validation(pl_module)

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        evaluation = cast(LitModel, pl_module).evaluation
        assert evaluation is not None
        self.content["metrics"] = {f"test/{name}": value for name, value in evaluation.metrics.items()}
        if trainer.is_global_zero:
            data, model = _data(trainer), cast(LitModel, pl_module)
            rows = evaluation.row.cpu()
            self._write_evaluation("predictions.parquet", data, evaluation)
            if decisions := fitted(model):
                self.content["decisions"] = decisions | {"test": tested(model, evaluation)}
            arrays = evaluation.target.cpu().numpy(), evaluation.prediction.cpu().numpy()
            self.content["checks"] = check_run(self.content, *arrays, data.class_names, self.directory.path.parent)
            self.content["notes"] += keep_test_rows(self.directory.path, data, rows)
            self.content["notes"] += keep_example(self.directory.path, data, rows)
            if self.figures and isinstance(trainer.logger, RunLogger) and (writer := trainer.logger.experiment):
                self._write()  # the metrics stay, whatever becomes of the figures
                if notes := write_figures(writer, model.task, data, evaluation, trainer.global_step):
                    say("\n".join(notes))
                    self.content["notes"] += notes
            self.finish(trainer, "finished")  # a run that is killed before tests and draws again

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        model = cast(LitModel, pl_module)
        # That of the chosen checkpoint after the training, not one of the training's own.
        if trainer.state.fn == TrainerFn.VALIDATING and model.evaluation is not None:
            if decisions := fitted(model):
                self.content |= {"decisions": decisions, "validation": model.evaluation.metrics}
            if trainer.is_global_zero:
                self._write_evaluation("val_predictions.parquet", _data(trainer), model.evaluation)

    def _write_evaluation(self, name: str, data: DataModule, evaluation: Evaluation) -> None:
        columns = {"row": evaluation.row, "target": evaluation.target, "prediction": evaluation.prediction}
        named = data.id_columns(evaluation.row.cpu())
        write_predictions(self.directory.path / name, columns, data.class_names, named)

    def finish(self, trainer: Trainer, status: str) -> None:
        """Writes the outcome."""
        if isinstance(trainer.logger, RunLogger) and status in ("finished", "untested"):
            trainer.logger.close_session()
        self.content |= {"status": status, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
        self._write()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._started and trainer.is_global_zero:
            interrupted = isinstance(exception, Interrupted | KeyboardInterrupt)
            status = "interrupted" if interrupted else "diverged" if isinstance(exception, Diverged) else "failed"
            with suppress(OSError):  # on a full disk the error about the checkpoint is enough
                # A start that published nothing leaves no record alone, and an earlier one as it is.
                if "config" in self.content and (self.directory.path / "record.json").is_file():
                    self.content.setdefault("seconds", self._seconds + time.monotonic() - self._started)
                    self.finish(trainer, status)
                    if interrupted:
                        say(interruption(trainer, self.directory, self.content["command"]), sys.stderr)

    def _validation(self, pl_module: LightningModule) -> dict[str, float] | None:
        evaluation = cast(LitModel, pl_module).evaluation
        before: dict[str, float] | None = self.content.get("validation")
        return before if evaluation is None else evaluation.metrics

    def _write(self, folder: Path | None = None) -> None:
        write_json((folder or self.directory.path) / "record.json", self.content)


def _data(trainer: Trainer) -> DataModule:
    data: DataModule = trainer.datamodule  # type: ignore[attr-defined]  # set from another class
    return data
