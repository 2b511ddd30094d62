"""Number of optimizer steps of a run."""

import math

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from lit_models.errors import ConfigError
from lit_models.internals.lightning_parts import train_dataloader_source


def total_steps(trainer: Trainer) -> int:
    """Returns the number of optimizer steps of the whole fit, before it starts.

    ``Trainer.estimated_stepping_batches`` returns the same number, but makes the loaders, and a resumed run's loader
    then loses its position (Lightning issue 20550). A data module with ``train_batches`` returns the number of
    batches itself; of another one a second loader is made for its length and dropped.

    Raises:
        ConfigError: If neither epochs nor steps limit the run.
    """
    if trainer.max_epochs is None or trainer.max_epochs < 0:
        if trainer.max_steps < 0:
            raise ConfigError("a schedule over the whole run needs its length; set --trainer.max_epochs or max_steps")
        return trainer.max_steps
    source = train_dataloader_source(trainer)
    count = getattr(source.instance, "train_batches", None)
    batches = len(source.dataloader()) if count is None else count()
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from another class
    plan = next((callback for callback in callbacks if isinstance(callback, GradientAccumulationScheduler)), None)
    batches_per_step = [
        plan.get_accumulate_grad_batches(epoch) if plan else trainer.accumulate_grad_batches
        for epoch in range(trainer.max_epochs)
    ]
    steps = sum(math.ceil(batches / accumulated) for accumulated in batches_per_step)
    return steps if trainer.max_steps < 0 else min(steps, trainer.max_steps)
