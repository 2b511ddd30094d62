"""Checks of method: one line for each thing about a run or a comparison that its reader should know before its result.

Each function returns nothing about runs as they should be. Imports no torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from experiments.run.record.record_io import read_record
from experiments.terminal import decimal
from lit_models.errors import ConfigError
from lit_models.metrics.task_metrics import MEASURES

Array = NDArray[numpy.float64]
Checks = dict[str, str]
"""Findings about a run by their kind, as its record has them."""

ADVICE = {
    "last epoch": ("the best epoch is the last one", "train longer, with a larger --trainer.max_epochs"),
    "floor": ("a classical baseline is better", "search for settings (evenhand sweep --search), or take the baseline"),
    "gap": (
        "validation and test differ by more than their intervals",
        "look whether their rows are alike (evenhand inspect), or split by --data.group or --data.time",
    ),
    "never predicted": (
        "a class is never predicted",
        "try --model.class_weights true or --data.sampler balanced, or longer training",
    ),
}
"""What a check finds, where several runs have it, and what to do, by its kind."""

LINEAR = ("LitLinear", "logistic", "ridge", "tfidf+logistic", "tfidf+ridge")
"""Names of linear models, networks and baselines."""

BASELINES = ("majority", "random-forest", "gradient-boosting", "random-kernels", *LINEAR[1:])
"""Beginnings of the folders of baselines."""

ANNEALED = ("OneCycleLR", "CosineAnnealingLR", "LinearLR", "PolynomialLR", "CosineAnnealingWarmRestarts", "LambdaLR")
"""Schedulers that end a run with its lowest rate, so that its last epoch is expected to be the best."""

FEW = 5
"""A class with fewer test rows may be predicted in none of them by chance."""

EDGE = 0.02
"""Fraction of a searched range, or of its logarithm, that is its edge."""

RESAMPLES, MOST_ROWS = 100, 20_000
"""Of a metric's standard deviation; that of more rows follows from so many."""


def check_run(
    record: Mapping[str, Any], target: Array, prediction: Array, class_names: Sequence[str], experiment: Path
) -> Checks:
    """Returns findings about a run by its record, with its test metrics, and its predictions.

    Args:
        record: Content of ``record.json``.
        target: Class indices (N,), labels (N, L), or values (N,) or (N, R) of the test rows.
        prediction: Probabilities of class 1 (N,) or (N, 1) in a binary task, else of all classes or labels, or values.
        class_names: Names of classes or labels.
        experiment: Folder in which baselines may be.
    """
    rank, task = str(record["rank_by"]).removeprefix("test/"), record["task"]
    target = target.reshape(len(target), *([] if task in ("binary", "multiclass") else [-1]))
    prediction = prediction.reshape(len(prediction), *([] if task == "binary" else [-1]))
    measure, value = MEASURES[task].get(rank), record["metrics"].get(f"test/{rank}")
    threshold = float(((record.get("decisions") or {}).get("rule") or {}).get("threshold", 0.5))
    findings = {"last epoch": _last_epoch(record)}
    if task != "regression":
        findings["never predicted"] = _never_predicted(target, prediction, class_names, threshold)
    if measure is not None and value is not None and numpy.isfinite(value):
        rows = numpy.random.default_rng(0).permutation(len(target))[:MOST_ROWS]
        weights = numpy.random.default_rng(0).standard_exponential((RESAMPLES, len(rows)))
        resampled = [measure(target[rows], prediction[rows], each[None], threshold)[0] for each in weights]
        sd = float(numpy.std(resampled)) * (len(rows) / len(target)) ** 0.5
        findings["gap"] = _gap(record, rank, value, sd)
        findings["floor"] = _floor(record, rank, value, sd, -1 if measure.lower_is_better else 1, experiment)
    return {kind: finding for kind, finding in findings.items() if finding}


def lines_of_run(checks: Mapping[str, str]) -> list[str]:
    """Returns the findings about a run as lines, each with what to do."""
    return [f"check: {finding}; {ADVICE[kind][1]}" for kind, finding in checks.items() if kind in ADVICE]


def lines_of_groups(groups: Iterable[tuple[str, Sequence[Mapping[str, str]]]], without: str = "") -> list[str]:
    """Returns a line for each kind of findings but one about the runs of groups, by the groups' labels."""
    groups = list(groups)
    total, lines = sum(len(runs) for _, runs in groups), []
    for kind, (summary, advice) in ADVICE.items():
        found = {label: count for label, runs in groups if (count := sum(kind in checks for checks in runs))}
        if found and kind != without:
            labels = ", ".join([*found][:3]) + " ..." * (len(found) > 3)
            lines.append(f"check: {summary} in {sum(found.values())} of {total} runs ({labels}); {advice}")
    return lines


def floor_is_better(metric: str, floor: str, best: float, network: str, value: float) -> str:
    """Returns a line on a baseline that is better than the best network of a comparison."""
    values = f"{floor} has {metric} {decimal(best)}, and the best network, {network}, {decimal(value)}"
    return f"check: the floor is better: {values}; {ADVICE['floor'][1]}"


def linear_is_level(linear: str, network: str) -> str:
    """Returns a line on a linear model that is not shown to be worse than the best network of a comparison."""
    return (
        f"check: {linear} is level with {network}, so that the network adds nothing that these test rows show; "
        "take the linear model, or look for inputs that matter"
    )


def too_few_test_rows(label: str, best: str, difference: float, rows: int, needed: int) -> str:
    """Returns a line on a difference that the seeds agree on, and that the test rows are too few to tell."""
    return (
        f"check: the test part is too small to tell {label} from {best}: they differ by {abs(difference):.2g} with any "
        f"seed, and that takes about {needed:,} test rows in place of {rows:,}; test on all of them with --data.folds"
    )


def on_the_edge(setting: str, value: float, low: float, high: float, is_log: bool, is_whole: bool) -> str:
    """Returns a line on a chosen value at the edge of its searched range; empty elsewhere.

    The lower end is none where no lower value makes sense: 0, and 1 of a whole number.
    """
    ends = numpy.log([value, low, high]) if is_log else numpy.array([value, low, high], dtype=numpy.float64)
    margin = 0 if is_whole else EDGE * (ends[2] - ends[1])
    is_low = ends[0] - ends[1] <= margin and low != (1 if is_whole else 0)
    if not is_low and ends[2] - ends[0] > margin:
        return ""
    side = "lower" if is_low else "upper"
    return (
        f"check: the chosen {setting} {value:.4g} is at the {side} edge of its range, {low:.4g} to {high:.4g}; "
        "widen it in --space, under another --experiment"
    )


def _last_epoch(record: Mapping[str, Any]) -> str:
    """Finds a training that was still getting better, by a validation metric and at no rate that was annealed to 0."""
    chosen, epochs, options = record.get("chosen") or {}, record.get("epochs"), record.get("hyperparameters") or {}
    if not str(chosen.get("monitor")).startswith("val/") or record.get("stopped") != "at its last epoch":
        return ""
    if options.get("model.schedule.scheduler") in ANNEALED or chosen["epoch"] != epochs or epochs < 2:
        return ""
    return f"the best epoch is the last one, {epochs} of {epochs}"


def _never_predicted(target: Array, prediction: Array, class_names: Sequence[str], threshold: float) -> str:
    if target.ndim == 1:
        classes = 2 if prediction.ndim == 1 else prediction.shape[1]
        predicted = prediction > threshold if prediction.ndim == 1 else prediction.argmax(axis=1)
        count, found = (numpy.bincount(each.astype(int), minlength=classes) for each in (target, predicted))
    else:
        count, found = target.sum(axis=0), (prediction > 0.5).sum(axis=0)
    lacking = ((found == 0) & (count >= FEW)).nonzero()[0].tolist()
    if not lacking:
        return ""
    names = [str(class_names[index]) if index < len(class_names) else str(index) for index in lacking]
    rows = int(count[lacking].sum())
    noun = ("class" if len(names) == 1 else "classes") if target.ndim == 1 else "label" + "s" * (len(names) > 1)
    verb, them = ("is", "it") if len(names) == 1 else ("are", "one of them")
    listed = ", ".join(names[:3]) + " ..." * (len(names) > 3)
    return f"{noun} {listed} {verb} never predicted, and {rows:,} of {len(target):,} test rows have {them}"


def _gap(record: Mapping[str, Any], rank: str, value: float, sd: float) -> str:
    """Finds a difference of the ranking metric beyond both 95 % intervals; the validation rows have the same spread."""
    val, rows = (record.get("validation") or {}).get(rank), record["rows"]
    if val is None or not rows.get("val") or not numpy.isfinite(val):
        return ""
    if abs(val - value) <= 1.96 * sd * (1 + (rows["test"] / rows["val"]) ** 0.5):
        return ""
    return f"{rank} is {decimal(val)} on validation and {decimal(value)} on test rows, beyond their 95 % intervals"


def _floor(record: Mapping[str, Any], rank: str, value: float, sd: float, sign: int, experiment: Path) -> str:
    """Finds a baseline in the experiment's folder, of the same rows, that is better by more than chance."""
    alike = ("task", "rank_by", "fingerprints", "rows")
    best: tuple[float, str] | None = None
    for folder in sorted(each for name in BASELINES for each in experiment.glob(f"{name}-seed*")):
        with suppress(
            OSError, ConfigError, ValueError, KeyError, TypeError, AttributeError
        ):  # a damaged record is no baseline
            other = read_record(folder)
            if other["status"] == "finished" and all(other[key] == record[key] for key in alike):
                each = float(other["metrics"][f"test/{rank}"])
                if sign * (each - value) > 1.96 * 2**0.5 * sd and (best is None or sign * (each - best[0]) > 0):
                    best = each, str(other["model"])
    if best is None:
        return ""
    return f"the floor is better: {best[1]} has {rank} {decimal(best[0])}, and this run {decimal(value)}"
