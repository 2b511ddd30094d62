"""How many optimizer steps a run takes."""

import math

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler

from lit_models.errors import ConfigError


def total_steps(trainer: Trainer) -> int:
    """Optimizer steps of the whole fit, known before it starts.

    ``Trainer.estimated_stepping_batches`` answers the same, and makes the loaders on the way: a resumed run's loader
    then has lost its place (Lightning issue 20550). Here a data module is asked that can say it (``train_batches``); of
    another a second loader is made, asked for its length and dropped.

    Raises:
        ConfigError: Where neither epochs nor steps limit the run.
    """
    if trainer.max_epochs is None or trainer.max_epochs < 0:
        if trainer.max_steps < 0:
            raise ConfigError("a schedule over the whole run needs its length; set --trainer.max_epochs or max_steps")
        return trainer.max_steps
    source = trainer.fit_loop._data_source
    count = getattr(source.instance, "train_batches", None)
    batches = len(source.dataloader()) if count is None else count()
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * (1.0 if limit is None else limit))
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from another class
    plan = next((one for one in callbacks if isinstance(one, GradientAccumulationScheduler)), None)
    batches_a_step = [
        plan.get_accumulate_grad_batches(epoch) if plan else trainer.accumulate_grad_batches
        for epoch in range(trainer.max_epochs)
    ]
    steps = sum(math.ceil(batches / one) for one in batches_a_step)
    return steps if trainer.max_steps < 0 else min(steps, trainer.max_steps)
