"""Decisions of a run for its record: the fitted values, and what they did on the test rows."""

from collections.abc import Mapping
from typing import Any

from experiments.terminal import decimal
from lit_models import LitModel
from lit_models.metrics.evaluation import Evaluation
from lit_models.metrics.task_metrics import MEASURES
from lit_models.tasks.prediction_types import Classes, Labels


def fitted(model: LitModel) -> dict[str, Any]:
    """Returns the options and the values that validation rows decided; empty without such options."""
    if model.fitted_decisions is None:
        return {}
    options = {name: value for name, value in model.decisions.plain().items() if value not in (None, "none")}
    return {"options": options, **model.fitted_decisions.plain(), "rule": model.decision_rule}


def tested(model: LitModel, evaluation: Evaluation) -> dict[str, Any]:
    """Returns what the decisions did on the test rows.

    - ``before`` and ``after``: metrics without and with temperature, or with a threshold of 0.5 and the fitted one.
    - ``coverage``: fraction of rows whose set or interval has the truth; of several labels or targets, all of them.
    - ``size``: mean number of classes or labels in a set; ``widths``: of each target's interval.
    """
    rule, task = model.decision_rule, model.task
    target, prediction = evaluation.target.cpu(), evaluation.prediction.cpu()
    before, after = {}, {}
    if evaluation.uncalibrated is not None:
        for name in task.calibration_measures:
            measure, plain = MEASURES[task.name][name], evaluation.uncalibrated.cpu()
            before[name], after[name] = (
                float(measure(target.numpy(), each.numpy())[0]) for each in (plain, prediction)
            )
    if "threshold" in rule and model.decisions.threshold is not None:
        name = model.decisions.threshold
        measure, rows = MEASURES[task.name][name], (target.numpy(), prediction.numpy())
        before[name], after[name] = float(measure(*rows)[0]), float(measure(*rows, threshold=rule["threshold"])[0])
    found: dict[str, Any] = {"before": before, "after": after} if before else {}
    values = model.fitted_decisions
    if values is not None and values.quantile is not None:
        covered = task.nonconformity(prediction, target) <= values.quantile
        found["coverage"] = float(covered.double().mean())
        if "margins" in rule:
            found["widths"] = [2 * margin for margin in rule["margins"]]
        else:
            outcome = task.outcome(prediction, target)
            assert isinstance(outcome, Classes | Labels)
            inside = outcome.probabilities >= rule["least_probability"]
            found["size"] = float(inside.sum(dim=1).double().mean())
    return found


def lines_of_decisions(decisions: Mapping[str, Any]) -> list[str]:
    """Returns a line for each decision of a run, by its record."""
    if not decisions:
        return []
    rule, test, rows = decisions["rule"], decisions.get("test", {}), decisions["rows"]
    before, after = test.get("before", {}), test.get("after", {})

    def changes(names: set[str]) -> str:
        changed = [f"{name} {decimal(before[name])} to {decimal(after[name])}" for name in before if name in names]
        return f": test {', '.join(changed)}" if changed else ""

    lines = [f"note: {note}" for note in decisions["notes"]]
    if "temperature" in rule:
        lines.append(f"temperature {rule['temperature']:.4g} by {rows:,} validation rows{changes({'log_loss', 'ece'})}")
    if "threshold" in rule:
        metric = decisions["options"]["threshold"]
        lines.append(f"threshold {rule['threshold']:.4g} by {metric} of {rows:,} validation rows{changes({metric})}")
    if "coverage" in rule:
        noun, size = (
            ("intervals", "") if "margins" in rule else ("sets", f", {test.get('size', 0):.2f} names on average")
        )
        found = f": {test['coverage']:.1%} of test rows{size}" if "coverage" in test else ""
        lines.append(f"{noun} for {rule['coverage']:g} of rows by {rows:,} validation rows{found}")
    return lines
