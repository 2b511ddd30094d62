"""Behind "no difference shown" stands equality within a margin, or the seeds and rows that a difference takes."""

import math
import re
from pathlib import Path
from typing import Any

import numpy
import pytest
from compared_groups import TARGET, Output, group
from handmade_runs import guesses, record_run
from scipy import stats

from experiments.__main__ import main
from experiments.compare.comparison import Comparison
from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics.bayesian_bootstrap import RESAMPLES, Resamples
from experiments.compare.statistics.equivalence import tost
from experiments.compare.statistics.pairwise_tests import pairwise
from experiments.compare.statistics.permutation import permutation
from experiments.compare.statistics.power import POWER, Parts, power, requirement

Array = Any
TIMES = pytest.mark.parametrize("times", [250, pytest.param(1000, marks=pytest.mark.slow)])


def without_rows(values: Array) -> Array:
    """Returns a sample of a single split in which test rows make no difference."""
    return [numpy.repeat(numpy.asarray(values, dtype=float)[:, None], 1 + RESAMPLES, axis=1)]


def bound(rate: float, times: int) -> float:
    """Returns two standard errors of a simulated rate."""
    return 2 * math.sqrt(rate * (1 - rate) / times)


class World:
    """Groups whose runs are normal, with variance of each part of ``Parts`` in each row, run and seed."""

    def __init__(self, n: int, rows: int, common: float, single: float, seeds: float) -> None:
        self.n, self.rows, self.spread = n, rows, (common, single, seeds)
        (weights,) = Resamples(numpy.arange(rows))
        self.weights = (weights / weights.sum(axis=1, keepdims=True)).T
        self.generator = numpy.random.default_rng([n, rows])
        per_run = [numpy.full(2, value) for value in (single**2 / rows, seeds**2)]
        self.parts = Parts(2 * common**2 / rows, per_run[0], per_run[1], numpy.full(2, float(n)), rows)
        self.error = math.sqrt((2 * common**2 + 2 * single**2 / n) / rows + 2 * seeds**2 / n)

    def samples(self, *means: float) -> list[list[Array]]:
        draw, (common, single, seeds), groups = self.generator.normal, self.spread, len(means)
        rows = draw(0, 1, self.rows) + draw(0, common, (groups, 1, self.rows))
        rows = rows + draw(0, single, (groups, self.n, self.rows)) + draw(0, seeds, (groups, self.n, 1))
        rows += numpy.array(means)[:, None, None]
        return [[numpy.column_stack([runs.mean(axis=1), runs @ self.weights])] for runs in rows]


WORLDS = [(5, 100, 0.5, 0.5, 0.05), (6, 100, 0.1, 0.1, 0.3), (5, 100, 0.05, 1.5, 0.0)]
"""Rows that groups differ on, seeds, and rows that single runs differ on have most of the variance."""


def comparison_of(samples: list[list[Array]], rows: int, margin: float) -> Comparison:
    counts, groups, scores = {"train": 5 * rows, "test": rows}, [], dict[Run, Score]()
    for number, sample in enumerate(samples):
        settings = {"model": str(number)}
        facts = (settings, "data", "multiclass", "accuracy", ("data", "split"), counts, 1, 1.0, {}, {}, "2026")
        runs = [Run(Path(), *facts) for _ in sample[0]]  # type: ignore[arg-type]
        scores |= {run: Score(run, {}, values) for run, values in zip(runs, sample[0], strict=True)}
        groups.append(Group(runs, str(number)))
    return Comparison(Block("data", "multiclass", "accuracy", ("split",), groups), scores, margin)


def test_without_variance_over_rows_tost_is_two_welch_tests() -> None:
    one, two = numpy.array([0.71, 0.74, 0.69, 0.75]), numpy.array([0.70, 0.66, 0.65, 0.69, 0.71])
    pairs = pairwise([without_rows(one), without_rows(two)], 1000, 0.2)
    for margin in (0.01, 0.05, 0.1, 0.2):
        above = stats.ttest_ind(one + margin, two, equal_var=False, alternative="greater").pvalue
        below = stats.ttest_ind(one - margin, two, equal_var=False, alternative="less").pvalue
        found = tost(pairs, margin)
        assert found[0, 1] == found[1, 0] == pytest.approx(max(above, below), rel=1e-6)


def test_equal_predictions_are_equal_within_any_margin_and_single_runs_have_no_test() -> None:
    same = pairwise([without_rows([0.7, 0.7]), without_rows([0.7, 0.7])], 100, 0.2)
    assert tost(same, 1e-9)[0, 1] < 1e-6
    assert numpy.isnan(tost(pairwise([without_rows([0.7]), without_rows([0.7, 0.8])], 100, 0.2), 0.1)[0, 1])


@TIMES
@pytest.mark.parametrize("world", WORLDS)
def test_groups_that_differ_by_the_margin_are_equal_in_at_most_a_twentieth(world: Any, times: int) -> None:
    simulated = World(*world)
    margin = 4 * simulated.error
    claims = sum(tost(pairwise(simulated.samples(margin, 0), 100, 0.2), margin)[0, 1] < 0.05 for _ in range(times))
    assert claims / times <= 0.05 + bound(0.05, times)
    assert claims > 0  # a margin of four standard errors is not a test that never claims


@TIMES
def test_of_several_groups_any_is_wrongly_equal_in_at_most_a_twentieth(times: int) -> None:
    simulated = World(*WORLDS[0])
    margin = 5 * simulated.error
    claims = 0
    for _ in range(times):
        tested = comparison_of(simulated.samples(0, margin, 2 * margin), 100, margin)
        claims += bool(numpy.nanmin(tested.equal_p) < 0.05)
    assert claims / times <= 0.05 + bound(0.05, times)


@TIMES
@pytest.mark.parametrize("world", WORLDS)
def test_the_promised_power_is_found(world: Any, times: int) -> None:
    simulated = World(*world)
    size = 3 * simulated.error
    promised = power(simulated.parts, size, 0.05)
    assert 0.6 < promised < 0.9
    found = 0
    for _ in range(times):
        samples = simulated.samples(size, 0)
        over_seeds = permutation(*([sample[0][:, 0]] for sample in samples))
        found += pairwise(samples, 100, 0.2).p[0, 1] < 0.05 and over_seeds.p < 0.05
    # Within 5 points, as far as so many simulations can tell. Where rows differ for single runs, 1,000 find .65 of .71.
    assert found / times == pytest.approx(promised, abs=0.05 + bound(promised, times))


@TIMES
def test_with_the_seeds_or_rows_that_are_named_the_difference_is_found(times: int) -> None:
    pilot = World(*WORLDS[0])
    size = 2 * pilot.error
    needs = requirement(*pilot.samples(size, 0), 100, size, pairs=1)
    assert needs is not None
    ((seeds, _), (_, rows)) = needs.alternatives[0], needs.alternatives[-1]
    for n, count in ((seeds, None), (None, rows)):
        if n is None and count is None:
            continue
        world = World(n or pilot.n, count or 100, *WORLDS[0][2:])
        promised = power(world.parts, size, 0.05)
        found = sum(pairwise(world.samples(size, 0), world.rows, 0.2).p[0, 1] < 0.05 for _ in range(times))
        assert found / times == pytest.approx(promised, abs=0.05 + bound(promised, times))


@pytest.mark.parametrize("n", [12, 20, 60])
@pytest.mark.parametrize("size", [0.5, 1.0, 1.5])
def test_without_variance_over_rows_the_power_is_that_of_the_t_test(n: int, size: float) -> None:
    parts = Parts(0.0, numpy.zeros(2), numpy.ones(2), numpy.full(2, 5.0), 1000)
    df, shift, limit = 2 * n - 2, size / math.sqrt(2 / n), stats.t.ppf(0.975, 2 * n - 2)
    expected = stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift)
    assert power(parts, size, 0.05, n=n) == pytest.approx(expected, abs=2e-4)


def test_seeds_are_those_of_the_tables_of_the_t_test() -> None:
    """A difference of 1, .8 and .5 standard deviations takes 17, 26 and 64 of each group (Cohen 1988, table 2.4.1)."""
    generator = numpy.random.default_rng(0)
    runs = generator.normal(size=5)
    sample = without_rows((runs - runs.mean()) / runs.std(ddof=1))
    for size, expected in ((1.0, 17), (0.8, 26), (0.5, 64)):
        needs = requirement(sample, sample, 1000, size, pairs=1)
        assert needs is not None
        assert needs.alternatives == [(expected, None)]  # no number of rows is enough


def test_parts_are_those_of_the_world_that_runs_are_from() -> None:
    world = World(8, 400, 0.6, 0.9, 0.2)
    found = [Parts.of(*world.samples(0, 0), 400) for _ in range(100)]
    for name in ("common", "single", "seeds"):
        estimated = numpy.mean([numpy.mean(getattr(parts, name)) for parts in found])
        assert estimated == pytest.approx(numpy.mean(getattr(world.parts, name)), rel=0.1)


def test_a_difference_that_needs_both_is_planned_with_both_and_a_tiny_one_with_neither() -> None:
    sample, other = World(5, 100, 0.5, 0.5, 0.3).samples(0, 0)
    needs = requirement(sample, other, 100, 0.08, pairs=1)
    assert needs is not None
    ((seeds, rows),) = needs.alternatives
    assert seeds
    assert seeds > 5
    assert rows
    assert rows > 100
    tiny = requirement(sample, other, 100, 1e-7, pairs=1)
    assert tiny is not None
    assert tiny.alternatives == []


def equal_groups(folder: Path, seeds: int = 6, apart: float = 0.0) -> None:
    generator = numpy.random.default_rng(0)
    for seed in range(seeds):
        for model, skill in (("LitMLP", 1.0), ("LitCNN", 1.0 + apart)):
            run = folder / f"{model}{seed}"
            record_run(run, TARGET, guesses(generator, TARGET, skill), model=model, seed=seed)


def test_behind_no_difference_shown_stands_what_it_takes(
    tmp_path: Path, compare_output: Output, compare_json: Any
) -> None:
    equal_groups(tmp_path)
    output = " ".join(compare_output(tmp_path).split())
    second = compare_json(tmp_path)["blocks"][0]["groups"][1]
    seeds, rows = second["needs_seeds"], second["needs_rows"]
    words = [f"{number:,} {noun}" for number, noun in ((seeds, "seeds"), (rows, "test rows")) if number]
    found = re.search(r"no difference shown \(p = \.\d+\); needs (.+) to tell (\.\d+)", output)
    assert found
    assert found[1] == " or ".join(words)
    assert float(found[2]) == pytest.approx(abs(second["difference"]), rel=0.05)
    assert second["power"] < POWER
    assert f"with a power of {POWER:.0%}".replace("%", " %") in output


def test_a_margin_says_what_is_equal_and_what_these_runs_would_tell(
    tmp_path: Path, compare_output: Output, compare_json: Any
) -> None:
    equal_groups(tmp_path)
    assert re.search(r"equal within \.100 \(TOST, p (= \.\d+|< \.001)\)", compare_output(tmp_path, "--margin", ".1"))
    (block,) = compare_json(tmp_path, "--margin", ".1")["blocks"]
    assert block["equal_within"] == 0.1
    assert block["groups"][1]["equal_p"] < 0.05
    assert block["groups"][1]["needs_seeds"] is None
    output = compare_output(tmp_path, "--margin", ".001")
    assert "equal within" not in output
    assert "to tell .0010" in output
    assert compare_json(tmp_path)["blocks"][0]["groups"][1]["equal_p"] is None


def test_a_group_may_be_worse_and_equal_within_the_margin(tmp_path: Path, compare_output: Output) -> None:
    group(tmp_path / "a", 1.0, 5)
    group(tmp_path / "a", 1.8, 5, "LitCNN")
    assert re.search(
        r"worse by \.\d+ \(p = \.\d+\); equal within \.500 \(TOST", compare_output(tmp_path, "--margin", ".5")
    )


def test_pairs_have_the_rows_that_flip(tmp_path: Path, compare_json: Any, compare_output: Output) -> None:
    generator, right = numpy.random.default_rng(1), {}
    for model, skill in (("LitMLP", 0.5), ("LitCNN", 1.0), ("LitRNN", 2.0)):
        predictions = [guesses(generator, TARGET, skill) for _ in range(4)]
        right[model] = numpy.array([each.argmax(axis=1) == TARGET for each in predictions])
        for seed, prediction in enumerate(predictions):
            record_run(tmp_path / f"{model}{seed}", TARGET, prediction, model=model, seed=seed)
    pairs = compare_json(tmp_path, "--pairs")["blocks"][0]["pairs"]
    names = [(pair["against"], pair["group"]) for pair in pairs]
    assert names == [("LitRNN", "LitCNN"), ("LitRNN", "LitMLP"), ("LitCNN", "LitMLP")]
    for pair, (better, other) in zip(pairs, names, strict=True):
        every = [(a, b) for a in right[better] for b in right[other]]
        assert pair["right_to_wrong"] == pytest.approx(numpy.mean([(a & ~b).sum() for a, b in every]))
        assert pair["wrong_to_right"] == pytest.approx(numpy.mean([(~a & b).sum() for a, b in every]))
        net = pair["wrong_to_right"] - pair["right_to_wrong"]
        assert net / len(TARGET) == pytest.approx(pair["difference"])
    of_best = compare_json(tmp_path)["blocks"][0]["groups"][1:]
    assert [pair["p"] for pair in pairs[:2]] == [each["p"] for each in of_best]
    output = compare_output(tmp_path, "--pairs")
    assert f"{pairs[0]['right_to_wrong']:.1f}" in output
    csv = compare_output(tmp_path, "--pairs", "--format", "csv").splitlines()
    assert len(csv) == 4
    assert csv[0].startswith("block,data,metric,test_looks,optimism,group,against,difference,")


def test_pairs_of_regressions_have_no_rows_that_flip(tmp_path: Path, compare_output: Output) -> None:
    generator = numpy.random.default_rng(0)
    target = generator.normal(size=50)
    for seed in range(4):
        for model in ("LitMLP", "LitCNN"):
            prediction = target + generator.normal(size=50)
            record_run(tmp_path / f"{model}{seed}", target, prediction, "regression", model, seed)
    output = compare_output(tmp_path, "--pairs")
    assert "no difference shown" in output
    assert "right to wrong" not in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--margin", "0"), "--margin 0 is no difference of a metric"),
        (("--margin=-.1",), "--margin -0.1 is no difference"),
        (("--margin", "nan"), "--margin nan is no difference"),
        (("--margin", "inf"), "--margin inf is no difference"),
        (("--margin", "small"), "invalid float value"),
        (("--pairs", "--what-changed"), "are two tables"),
        (("--pairs", "--paper", "x.yaml"), "--pairs is not for a published table"),
        (("--margin", ".1", "--paper", "x.yaml"), "--margin is not for a published table"),
    ],
)
def test_words_that_mean_nothing_are_refused_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(tmp_path), *words])
    shown = capfd.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
