"""Captions of a row: its true and its predicted class, labels or values."""

from collections.abc import Sequence

from experiments.figures.drawing import display_names
from lit_models.tasks.prediction_types import Classes, Labels, Outcome, Values


def truth_and_prediction(outcome: Outcome, row: int, names: Sequence[str]) -> tuple[str, str]:
    """Returns captions with probabilities, as in ``("3 (0.02)", "8 (0.97)")``.

    Args:
        outcome: All rows.
        row: Position of the row in ``outcome``.
        names: Names of the classes or labels.
    """
    match outcome:
        case Values(prediction, target):
            true, predicted = (
                ", ".join(f"{value:.4g}" for value in rows[row].tolist()) for rows in (target, prediction)
            )
            return true, predicted
        case Classes(probabilities, target) | Labels(probabilities, target):
            probability = probabilities[row].tolist()
            labels = display_names(names, len(probability))
            captions = [f"{label} ({value:.2f})" for label, value in zip(labels, probability, strict=True)]
    if isinstance(outcome, Classes):
        return captions[int(target[row])], captions[int(probabilities[row].argmax())]
    pairs = [*zip(captions, target[row].tolist(), probability, strict=True)]
    true_labels = [caption for caption, is_true, _ in pairs if is_true]
    predicted_labels = [caption for caption, _, value in pairs if value > 0.5]
    return ", ".join(true_labels) or "none", ", ".join(predicted_labels) or "none"
