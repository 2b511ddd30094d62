"""What a row is and was taken for, in words."""

from collections.abc import Sequence

from experiments.figures.drawing import named
from lit_models.tasks.prediction_types import Classes, Labels, Outcome, Values


def truth_and_prediction(outcome: Outcome, row: int, names: Sequence[str]) -> tuple[str, str]:
    """As in ``("3 (0.02)", "8 (0.97)")``, with the probability that each was given.

    Args:
        outcome: Of all rows.
        row: A place among them.
        names: Of classes or labels.
    """
    match outcome:
        case Classes(probabilities, target):
            labels, chances = named(names, probabilities.shape[1]), probabilities[row]
            true, taken = int(target[row]), int(chances.argmax())
            return f"{labels[true]} ({chances[true]:.2f})", f"{labels[taken]} ({chances[taken]:.2f})"
        case Labels(probabilities, target):
            labels, chances, has = named(names, probabilities.shape[1]), probabilities[row], target[row]
            both = [f"{label} ({chance:.2f})" for label, chance in zip(labels, chances.tolist(), strict=True)]
            true_ones = [said for said, one in zip(both, has.tolist(), strict=True) if one]
            taken_ones = [said for said, one in zip(both, chances.tolist(), strict=True) if one > 0.5]
            return ", ".join(true_ones) or "none", ", ".join(taken_ones) or "none"
        case Values(prediction, target):
            true_values, taken_values = target[row].tolist(), prediction[row].tolist()
            return ", ".join(f"{one:.4g}" for one in true_values), ", ".join(f"{one:.4g}" for one in taken_values)
