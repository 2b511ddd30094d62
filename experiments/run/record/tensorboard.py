"""TensorBoard: the curves, and one row of the HParams tab for each run, with its final test metrics."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from typing_extensions import override

from experiments.run.record.custom_scalars import layout
from experiments.run.record.run_directory import RunDirectory


def write_session(folder: Path, parameters: dict[str, Any], metrics: Mapping[str, float]) -> None:
    """Writes an event file of a run without curves: its row of the HParams tab, with its final metrics."""
    _, start, end = hparams(parameters, {})
    with SummaryWriter(log_dir=str(folder)) as writer:
        writer.file_writer.add_summary(start)
        for name, value in metrics.items():
            writer.add_scalar(name, value, 0)
        writer.file_writer.add_summary(end)


def _wait_for_a_later_name(folder: Path) -> None:
    """Waits, at most a second, until a new event file is named behind those that are there.

    TensorBoard reads them in the order of their names, which begin with the second and go on with the number of the
    process: of two sessions within a second, the second one could come first, and its curves would go back.
    """
    while any(folder.glob(f"events.out.tfevents.{int(now := time.time()):010d}.*")):
        time.sleep(int(now) + 1 - now)


class RunLogger(TensorBoardLogger):
    """Lightning's logger, in the run's own folder, without a made-up ``hp_metric`` (PL#8175).

    Lightning makes the event file before it has read the data. Here ``open_session`` does, so that a run that cannot
    start leaves no file.
    """

    def __init__(self, directory: RunDirectory) -> None:
        super().__init__(str(directory.root), name=directory.experiment, version=directory.run, default_hp_metric=False)
        self._writer: Any = None
        self._session_end: Any = None

    @property
    def experiment(self) -> SummaryWriter | None:
        """The writer of the open session; None before and on other ranks."""
        writer: SummaryWriter | None = self._writer
        return writer

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        # Lightning adds the epoch to all metrics.
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def open_session(self, parameters: dict[str, Any], purge_step: int | None, metrics: Iterable[str]) -> None:
        """Announces a row of the HParams tab with its parameters; all scalars of the run are its metrics.

        The Custom Scalars tab has a chart of train and val for the loss and each of the metrics, by their names.

        TensorBoard forgets what an interrupted session logged from ``purge_step`` on; it will be logged again. It takes
        the first summary of an experiment's columns that it finds for that of all runs, so that parameters and metrics
        of the others never show. Without one it collects the columns from all runs.
        """
        _wait_for_a_later_name(Path(self.log_dir))
        self._writer = SummaryWriter(log_dir=self.log_dir, purge_step=purge_step)
        _, start, self._session_end = hparams(parameters, {})
        self._writer.file_writer.add_summary(start)
        self._writer.file_writer.add_summary(layout(metrics))

    def close_session(self) -> None:
        """Marks the row as complete, and closes the file."""
        if self._writer is not None:
            self._writer.file_writer.add_summary(self._session_end)
            self._writer.close()

    @override
    def save(self) -> None:
        # Lightning's would also write hparams.yaml, which the run's config.yaml replaces.
        if self._writer is not None:
            self._writer.flush()

    @override
    def finalize(self, status: str) -> None:
        self.save()  # the test after a fit continues in the same file
