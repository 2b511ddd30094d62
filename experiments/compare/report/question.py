"""Question of a comparison and its answer, in sentences for the head of a report."""

import math
from collections.abc import Sequence

from experiments.compare.comparison import LEVEL, Standing
from experiments.compare.groups import Block, count_splits, grouped
from experiments.compare.table_formats import amount, listed, number


def floor_of(standings: Sequence[Standing]) -> Standing | None:
    """Returns the best baseline of a block, which has no parameters trained by gradients; None without any."""
    baselines = [each for each in standings if not each.parameters and not math.isnan(each.estimate.mean)]
    return baselines[0] if baselines else None


def question(block: Block, standings: Sequence[Standing]) -> str:
    """Returns the question that a block answers."""
    direction = "highest" if block.sign > 0 else "lowest"
    if len(standings) == 1:
        return f"How good is {standings[0].group.label} on {block.data}, by its {block.metric}?"
    return f"Which of {len(standings)} groups has the {direction} {block.metric} on {block.data}?"


def answer(block: Block, standings: Sequence[Standing], margin: float | None) -> str:
    """Returns the best group's mean and the verdicts on the others; ``standings`` are best first."""
    best, *others = standings
    sentences = [f"{best.group.label} has the {'best ' if others else ''}mean {block.metric}, {_mean(best)}."]
    equal = [each for each in others if margin and each.versus.equal_p < LEVEL]
    if margin and equal:
        sentences.append(f"Equal within {amount(margin)}: {listed([each.group.label for each in equal])}.")
    for alike in grouped(others, lambda each: each.verdict):
        sentences.append(f"{alike[0].verdict.capitalize()}: {listed([each.group.label for each in alike])}.")
    return " ".join(sentences)


def facts_of(block: Block, standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """Returns the data, the metric, the numbers of runs and rows, and the floor, by their names."""
    run, runs = block.groups[0].runs[0], [score.run for each in standings for score in each.scores]
    floor, counts = floor_of(standings), sorted({run.rows["train"] for run in runs})
    train = " to ".join(f"{count:,}" for count in (counts[0], *counts[1:][-1:]))
    advice = "no classical baseline is among these runs; evenhand floor with the options of the data adds them"
    return [
        ("Groups", f"{len(standings):,}"),
        ("Data", f"{block.data}, {block.task}"),
        ("Metric", f"{block.metric}, {'higher' if block.sign > 0 else 'lower'} is better"),
        ("Rows", f"{train} train and {run.rows['test']:,} test rows, {count_splits(block)}"),
        ("Runs", f"{len(runs):,}"),
        ("Floor", advice if floor is None else f"{floor.group.label}, {_mean(floor)}"),
    ]


def _mean(standing: Standing) -> str:
    mean, _, low, high = standing.estimate
    return number(mean) + ("" if math.isnan(low) else f" (95 % interval {number(low)} to {number(high)})")
