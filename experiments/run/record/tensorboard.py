"""TensorBoard: the curves, and one row of the HParams tab for each run, with its final test metrics."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from experiments.run.record.run_directory import RunDirectory


class RunLogger(TensorBoardLogger):
    """Lightning's logger, in the run's own folder, without a made-up ``hp_metric``.

    Lightning makes the event file before it has read the data. Here that waits for ``open_session``, so that a run that
    cannot start leaves nothing behind.
    """

    def __init__(self, directory: RunDirectory) -> None:
        super().__init__(str(directory.root), name=directory.experiment, version=directory.run, default_hp_metric=False)
        self._is_open = False
        self._session_end: Any = None

    def go_on_at(self, step: int) -> None:
        """Have TensorBoard forget what an interrupted session logged from this step on; it will be logged again."""
        self._kwargs["purge_step"] = step

    @property
    def experiment(self) -> SummaryWriter | None:
        """The writer, once the session is open; None before."""
        writer: SummaryWriter | None = super().experiment if self._is_open else None
        return writer

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars, without the epoch that Lightning adds to each and nobody plots."""
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def open_session(self, parameters: dict[str, Any]) -> None:
        """Announce a row of the HParams tab: its parameters; all of the run's scalars are its metrics.

        TensorBoard takes the first summary of an experiment's columns that it finds for that of all runs, so that
        parameters and metrics of the others never show. Without any it collects the columns from all runs.
        """
        self._is_open = True
        _, start, self._session_end = hparams(parameters, {})
        self._add(start)

    def close_session(self) -> None:
        """Say that the row is complete, and close the file."""
        self._add(self._session_end)
        if self.experiment is not None:
            self.experiment.close()

    def save(self) -> None:
        """Write what is pending; not Lightning's hparams.yaml beside it, since the run has its config.yaml."""
        if self.experiment is not None:
            self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Write what is pending; the test that follows a fit goes on in the same file."""
        self.save()

    def _add(self, summary: Any) -> None:
        if self.experiment is not None:
            self.experiment._get_file_writer().add_summary(summary)
