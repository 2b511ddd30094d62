"""Values that the validation rows of an epoch decide, and the options that ask for them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor
from torchmetrics import Metric

from lit_models.decisions.conformal import conformal_quantile, conformal_rank, rows_needed
from lit_models.decisions.temperature import HIGHEST, LOWEST, MIN_ERRORS, fit_temperature
from lit_models.decisions.threshold import MIN_OF_CLASS, MIN_ROWS, fit_threshold
from lit_models.errors import ConfigError
from lit_models.tasks import Task

Calibration = Literal["none", "temperature"]
ThresholdMetric = Literal["f1_binary", "accuracy", "balanced_accuracy", "mcc"]


@dataclass(frozen=True)
class FittedDecisions:
    """Decisions by the validation rows of one epoch."""

    rows: int  # validation rows
    errors: int | None = None  # of them, or of their labels, that are wrong; None for regression
    temperature: float = 1.0
    log_loss: tuple[float, float] | None = None  # of the validation rows, at temperature 1 and at this one
    threshold: float = 0.5
    quantile: float | None = None  # of the conformal scores
    notes: tuple[str, ...] = ()  # reasons why a value stayed at its default

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "FittedDecisions":
        """Reads ``plain()`` from a checkpoint; raises ``ConfigError`` for values that no fit gives."""
        try:
            log_loss, notes = plain["log_loss"], tuple(map(str, plain["notes"]))
            pair = None if log_loss is None else (float(log_loss[0]), float(log_loss[1]))
            fitted = FittedDecisions(**{**plain, "log_loss": pair, "notes": notes})
            is_sound = LOWEST <= fitted.temperature <= HIGHEST and 0 <= fitted.threshold <= 1
            if not is_sound or not (fitted.quantile is None or math.isfinite(fitted.quantile)):
                raise ValueError("a value is out of its range")
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise ConfigError(f"the decisions in the checkpoint are damaged ({error}); name another one") from error
        return fitted

    def plain(self) -> dict[str, Any]:
        """Returns plain values for a checkpoint and a record."""
        return {name: [*value] if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class DecisionOptions:
    """Decisions that the user wants."""

    calibration: Calibration = "none"
    threshold: ThresholdMetric | None = None
    interval: float | None = None

    def __post_init__(self) -> None:
        if self.interval is not None and not 0 < self.interval < 1:
            raise ConfigError(f"interval must be above 0 and below 1, as .9, and it is {self.interval}")

    @property
    def wanted(self) -> list[str]:
        """The options that are set, as they are typed."""
        calibration = [] if self.calibration == "none" else [f"--model.calibration {self.calibration}"]
        threshold = [] if self.threshold is None else [f"--model.threshold {self.threshold}"]
        return [*calibration, *threshold, *([] if self.interval is None else [f"--model.interval {self.interval}"])]

    def plain(self) -> dict[str, Any]:
        """Returns plain values for a checkpoint."""
        return asdict(self)

    def metrics(self, task: Task) -> dict[str, Metric]:
        """Returns the task's metrics, with those that calibration changes; raises ``ConfigError`` for unfit options."""
        if self.calibration != "none" and not task.has_logits:
            raise ConfigError(
                f"a temperature divides logits, and a {task.name} task has none; leave --model.calibration out"
            )
        if self.threshold is not None and self.threshold not in task.thresholds:
            raise ConfigError(
                f"--model.threshold is the probability above which a row is of the second of two classes, and the task "
                f"is {task.name}; leave it out"
                if not task.thresholds
                else f"--model.threshold {self.threshold} is none of {', '.join(task.thresholds)}; choose one"
            )
        return task.metrics(*(() if self.calibration == "none" else task.calibration_measures))

    def check_rows(self, rows: int | None) -> None:
        """Raises ``ConfigError`` if there are no validation rows, or too few for the interval; None is unknown."""
        if self.wanted and rows == 0:
            raise ConfigError(
                f"{self.wanted[0]} is decided by validation rows, and there are none; leave it out, or give val a "
                "share in --data.ratios"
            )
        if self.interval is not None and rows is not None and conformal_rank(rows, self.interval) > rows:
            raise ConfigError(
                f"--model.interval {self.interval} takes at least {rows_needed(self.interval)} validation rows, and "
                f"there are {rows}; choose a lower one, or give val a larger share in --data.ratios"
            )

    def fit(self, task: Task, target: Tensor, outputs: Tensor) -> FittedDecisions:
        """Fits all decisions to the targets and the uncalibrated outputs (N, num_outputs) of validation rows."""
        outputs, target = outputs.detach().cpu().double(), target.cpu()
        if not bool(outputs.isfinite().all()):
            return FittedDecisions(len(target), notes=("some validation outputs are not finite",))
        errors = task.errors(outputs, target)
        temperature, losses, notes = 1.0, None, []
        if self.calibration == "temperature":
            if (errors or 0) >= MIN_ERRORS:
                temperature = fit_temperature(outputs, lambda logits: task.log_loss(logits, target))
            else:
                notes.append(f"the temperature is 1: {errors} validation errors, and fewer than {MIN_ERRORS} fit none")
            losses = float(task.log_loss(outputs, target)), float(task.log_loss(outputs / temperature, target))
        prediction = task.predict(outputs / temperature)
        threshold = 0.5
        if self.threshold is not None:
            positive = int((target == 1).sum())
            if len(target) >= MIN_ROWS and min(positive, len(target) - positive) >= MIN_OF_CLASS:
                threshold = fit_threshold(self.threshold, target.numpy(), prediction.numpy())
            else:
                notes.append(
                    f"the threshold is 0.5: {len(target)} validation rows, {positive} of class 1; it takes {MIN_ROWS}, "
                    f"{MIN_OF_CLASS} of each class"
                )
        quantile = None
        if self.interval is not None:
            quantile = conformal_quantile(task.nonconformity(prediction, target), self.interval)
            if quantile is None:
                notes.append(f"no sets or intervals: {len(target)} validation rows are too few")
        return FittedDecisions(len(target), errors, temperature, losses, threshold, quantile, tuple(notes))

    def rule(self, task: Task, fitted: FittedDecisions) -> dict[str, Any]:
        """Returns the decisions that differ from the default, in plain values.

        - ``temperature``: by which logits are divided.
        - ``threshold``: probability above which a row of a binary task is of class 1.
        - ``coverage`` that is stated, with ``least_probability`` of a class in a set, or ``margins``, half of the width
          of each target's interval.
        """
        rule: dict[str, Any] = {}
        if fitted.temperature != 1:
            rule["temperature"] = fitted.temperature
        if fitted.threshold != 0.5:
            rule["threshold"] = fitted.threshold
        if fitted.quantile is not None:
            rule |= {"coverage": self.interval, **task.bounds(fitted.quantile)}
        return rule
