"""LightningModule whose decisions are fitted in each validation of a training, and saved with that epoch's weights.

A checkpoint then needs nothing else, a resumed run has the values of the uninterrupted one, and the best checkpoint has
those of its own epoch: nothing is written into it after the training. The cost is one fit in each validation.

They are plain values under a key of their own, and no buffers of the network: weight averaging would average them, and
``--model.weights`` of another run would have to leave them out. During training the network stays as it is, so that
epochs are chosen as without them; tests, predictions and exports have them.
"""

from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor
from typing_extensions import override

from lit_models.decisions.fitted_decisions import Calibration, DecisionOptions, FittedDecisions, ThresholdMetric
from lit_models.errors import ConfigError
from lit_models.tasks import Task

KEY = "decisions"
"""Key of the options and the fitted values in a checkpoint."""


class DecidedModule(LightningModule):
    """LightningModule that fits decisions to validation rows.

    Args:
        calibration: Divide the logits by a temperature of the lowest validation log loss (Guo et al. 2017). Classes
            stay; their probabilities become those of how often they are right. 1 below 5 validation errors.
        threshold: Metric by which the threshold of a binary task is chosen, in place of 0.5. It stays with fewer than
            100 validation rows, or 20 of a class.
        interval: Coverage, as .9, of a set of classes or labels or of an interval for each prediction, by
            split-conformal prediction.
    """

    task: Task

    def __init__(
        self,
        calibration: Calibration = "none",
        threshold: ThresholdMetric | None = None,
        interval: float | None = None,
    ) -> None:
        super().__init__()
        self.decisions = DecisionOptions(calibration, threshold, interval)
        self.fitted_decisions: FittedDecisions | None = None
        self._trains = False

    @property
    def decision_rule(self) -> dict[str, Any]:
        """The fitted decisions in plain values, see ``DecisionOptions.rule``; empty before they are fitted."""
        return {} if self.fitted_decisions is None else self.decisions.rule(self.task, self.fitted_decisions)

    def prepare_decisions(self, stage: str) -> None:
        """Applies the fitted values, except in training; raises ``ConfigError`` for too few validation rows."""
        self._trains = stage == "fit"
        if self._trains and self.decisions.wanted:
            data = getattr(self.trainer, "datamodule", None)
            part_rows = getattr(data, "part_rows", None)
            self.decisions.check_rows(int(part_rows().get("val", 0)) if part_rows is not None else None)
        self._use_rule()

    def fit_decisions(self, rows: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Fits the decisions to ids, targets and outputs of all validation rows in training; returns these."""
        if self._trains and self.decisions.wanted and not self.trainer.sanity_checking:
            self.fitted_decisions = self.decisions.fit(self.task, *rows[1:])
        return rows

    def load_decisions(self, checkpoint: dict[str, Any]) -> None:
        """Takes the values of a checkpoint; raises ``ConfigError`` if it lacks those of a wanted option."""
        saved = checkpoint.get(KEY) or {}
        fits = saved.get("options", DecisionOptions().plain()) == self.decisions.plain()
        values = saved.get("values") if fits else None
        self.fitted_decisions = None if values is None else FittedDecisions.of(values)
        if self.decisions.wanted and values is None and not self._trains:
            raise ConfigError(
                f"the checkpoint has no values for {', '.join(self.decisions.wanted)}, which a validation of fit "
                "decides; name a later checkpoint, or train with these options"
            )
        self._use_rule()

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.decisions.wanted:
            values = None if self.fitted_decisions is None else self.fitted_decisions.plain()
            checkpoint[KEY] = {"options": self.decisions.plain(), "values": values}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.load_decisions(checkpoint)

    def _use_rule(self) -> None:
        fitted = None if self._trains else self.fitted_decisions
        self.task.temperature, self.task.threshold = (fitted.temperature, fitted.threshold) if fitted else (1.0, 0.5)
