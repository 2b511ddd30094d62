"""Rule from probabilities or values to a decision: class, prediction set or interval.

Needs neither torch nor the training code, so that a graph answers with it too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
Mask = NDArray[numpy.bool_]


@dataclass(frozen=True)
class DecisionRule:
    """Decisions of a trained model."""

    temperature: float = 1.0  # by which logits were divided already
    threshold: float = 0.5  # a row of a binary task is of class 1 if its probability is above
    coverage: float | None = None  # stated coverage of sets or intervals; None for neither
    least_probability: float | None = None  # of a class or label in the prediction set
    margins: tuple[float, ...] = ()  # half of the width of each target's interval

    @staticmethod
    def of(plain: Mapping[str, Any]) -> "DecisionRule":
        """Reads ``plain()``, or ``DecidedModule.decision_rule`` of a network."""
        return DecisionRule(**{**plain, "margins": tuple(plain.get("margins", ()))})

    @staticmethod
    def mean(rules: Sequence["DecisionRule"]) -> "DecisionRule":
        """Returns the rule of an ensemble: the mean of the thresholds, and no sets, whose coverage nobody measured."""
        return DecisionRule(threshold=sum(rule.threshold for rule in rules) / len(rules))

    def plain(self) -> dict[str, Any]:
        """Returns the decisions that were made, in JSON values."""
        default = asdict(DecisionRule())
        values = {name: value for name, value in asdict(self).items() if value != default[name]}
        return {name: [*value] if isinstance(value, tuple) else value for name, value in values.items()}

    def is_class_1(self, probability: Array) -> Mask:
        """Returns True (N,) for rows of class 1, by their probabilities (N,); of a half it is class 0, as elsewhere."""
        decided: Mask = probability > self.threshold
        return decided

    def in_set(self, probabilities: Array) -> Mask | None:
        """Returns which classes or labels (N, K) are in the prediction set of a row; None without sets."""
        if self.least_probability is None:
            return None
        inside: Mask = probabilities >= self.least_probability
        return inside

    def bounds(self, values: Array) -> tuple[Array, Array] | None:
        """Returns the lower and upper bounds (N, R) of values (N, R); None without intervals."""
        if not self.margins:
            return None
        margins = numpy.array(self.margins)
        return values - margins, values + margins
