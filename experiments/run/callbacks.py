"""The callbacks of a fit, in the order in which they have to act."""

from lightning.pytorch import Callback

from experiments.run.checkpoints.best_checkpoint import best_checkpoint
from experiments.run.checkpoints.last_checkpoint import EpochBoundary, LastCheckpoint
from experiments.run.distributed.rank_consistency import Agreement
from experiments.run.divergence import Divergence
from experiments.run.record.config_diff import Start
from experiments.run.record.record import RunRecord
from experiments.run.record.run_directory import RunDirectory
from experiments.run.resume.exact_state import Resume
from experiments.run.resume.optimizer_overrides import TypedWins
from lit_models import LitModel


def run_callbacks(
    directory: RunDirectory,
    typed: list[Callback],
    model: LitModel,
    record: RunRecord,
    start: Start,
    save_every: int | None,
    has_val: bool,
) -> list[Callback]:
    """What restores comes first, what looks for divergence before what saves, and ``last.ckpt`` at the end.

    Args:
        directory: The run's.
        typed: The callbacks that the configuration names.
        model: What is trained.
        record: The run's.
        start: What it goes on from.
        save_every: Steps between two saves within an epoch; None for none, 0 for no checkpoints at all.
        has_val: Whether there are validation rows to choose the best epoch on.
    """
    resume, divergence = [Resume()], [Divergence(directory.path), TypedWins(start.changes)]
    if save_every == 0:
        return [*resume, *typed, Agreement(), record, *divergence]
    last = LastCheckpoint(directory.checkpoints / "last.ckpt", save_every)
    best = best_checkpoint(directory, typed, model, has_val)
    return [*resume, EpochBoundary(last), *typed, Agreement(), record, *divergence, *best, last]
