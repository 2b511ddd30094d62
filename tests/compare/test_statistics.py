"""The statistics of ``evenhand compare``: against scipy where it has them, and against simulation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from scipy import stats
from sklearn.utils import resample

from experiments.compare.comparison import Standing, compare
from experiments.compare.critical_difference import average_ranks, critical_difference
from experiments.compare.groups import Block, Group
from experiments.compare.load_runs import Run
from experiments.compare.scoring import Score
from experiments.compare.statistics import bayesian_bootstrap, student_t
from experiments.compare.statistics.bayesian_bootstrap import RESAMPLES, Resamples
from experiments.compare.statistics.pairwise_tests import estimate, holm, pairwise
from experiments.compare.statistics.permutation import permutation

Array = Any


def without_rows(values: Array) -> Array:
    """Returns a sample of a single split in which test rows make no difference."""
    return [numpy.repeat(numpy.asarray(values, dtype=float)[:, None], 1 + RESAMPLES, axis=1)]


def on_rows(rows: Array, weights: Array) -> Array:
    """Computes runs' means of their values (n, N), over rows and over weighted rows: (n, 1 + RESAMPLES)."""
    return numpy.column_stack([rows.mean(axis=1), rows @ (weights / weights.sum(axis=1, keepdims=True)).T])


def weights_of(rows: int) -> Array:
    return numpy.concatenate([*Resamples(numpy.arange(rows))])


@pytest.mark.parametrize("df", [1, 2, 3.5, 4, 9, 40.2, 199, 1e4])
def test_student_is_scipys(df: float) -> None:
    t = numpy.array([0.0, 0.1, 1.0, 2.5, 6.0, 40.0])
    assert student_t.two_sided(t, df) == pytest.approx(2 * stats.t.sf(t, df), abs=1e-9)
    assert float(student_t.quantile(df)) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-8)


def test_the_interval_is_students() -> None:
    values = [0.71, 0.74, 0.69, 0.75, 0.73]
    interval = estimate(without_rows(values), test_to_train=0.2)
    low, high = stats.t.interval(0.95, 4, loc=numpy.mean(values), scale=stats.sem(values))
    assert interval == pytest.approx((numpy.mean(values), numpy.std(values, ddof=1), low, high))
    assert numpy.isnan(estimate(without_rows([0.7]), 0.2).low)


def test_over_several_splits_the_variance_is_nadeau_and_bengios() -> None:
    ours, theirs = numpy.array([0.8, 0.7, 0.75, 0.82]), numpy.array([0.7, 0.68, 0.73, 0.75])
    samples = [[without_rows([value])[0] for value in group] for group in (ours, theirs)]
    pairs = pairwise(samples, rows=100, test_to_train=15 / 70)
    d = ours - theirs
    error = numpy.sqrt((1 / 4 + 15 / 70) * d.var(ddof=1))
    assert pairs.error[0, 1] == pytest.approx(error)
    assert pairs.p[0, 1] == pytest.approx(2 * stats.t.sf(d.mean() / error, 3))


def test_without_variance_over_rows_the_test_is_welchs() -> None:
    one, two = [0.71, 0.74, 0.69, 0.75], [0.70, 0.66, 0.65, 0.69, 0.61]
    pairs = pairwise([without_rows(one), without_rows(two)], rows=1000, test_to_train=0.2)
    welch = stats.ttest_ind(one, two, equal_var=False)
    assert (pairs.p[0, 1], pairs.df[0, 1]) == pytest.approx((welch.pvalue, welch.df), rel=1e-6)


def test_without_variance_over_seeds_the_test_is_the_paired_one_over_rows() -> None:
    generator = numpy.random.default_rng(0)
    shared, rows = generator.normal(size=400), 400
    ours, theirs = shared + generator.normal(0.12, 1, rows), shared + generator.normal(0, 1, rows)
    samples = [[on_rows(numpy.tile(group, (4, 1)), weights_of(rows))] for group in (ours, theirs)]
    pairs = pairwise(samples, rows, 0.2)
    assert pairs.error[0, 1] == pytest.approx(stats.sem(ours - theirs), rel=0.12)  # 200 resamples: 5 %
    assert pairs.p[0, 1] == pytest.approx(stats.ttest_rel(ours, theirs).pvalue, abs=0.02)


def test_what_rows_explain_of_the_spread_over_seeds_counts_once() -> None:
    # Runs that differ by chance on every row alone: the spread of their means is the rows', seen twice.
    generator = numpy.random.default_rng(1)
    errors = []
    for _ in range(100):
        samples = [[on_rows(generator.normal(size=(5, 200)), weights_of(200))] for _ in range(2)]
        errors.append(pairwise(samples, 200, 0.2).error[0, 1] ** 2)
    assert numpy.mean(errors) == pytest.approx(2 / (5 * 200), rel=0.3)


def test_resamples_spread_as_rows_drawn_with_replacement_do() -> None:
    values = numpy.random.default_rng(2).exponential(size=300)
    drawn = [resample(values, random_state=seed).mean() for seed in range(2000)]
    resampled = on_rows(values[None], weights_of(300))[0, 1:]
    assert resampled.std() == pytest.approx(numpy.std(drawn), rel=0.15)


def test_a_row_has_the_same_weights_in_every_split(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,), (two,) = Resamples(numpy.array([3, 8, 21])), Resamples(numpy.array([8, 9, 21, 40]))
    assert (one[:, 1:] == two[:, [0, 2]]).all()
    monkeypatch.setattr(bayesian_bootstrap, "MAX_STORED", 10)
    monkeypatch.setattr(bayesian_bootstrap, "CHUNK", 20_000)
    many = Resamples(numpy.arange(3000))  # drawn in pieces, and not kept
    pieces = [*many]
    assert len(pieces) > 1
    assert (numpy.concatenate(pieces)[:, [3, 8, 21]] == one).all()
    assert (numpy.concatenate([*many]) == numpy.concatenate(pieces)).all()
    assert stats.kstest(numpy.concatenate(pieces).ravel(), "expon").pvalue > 0.01


def test_the_permutation_is_scipys() -> None:
    one, two = numpy.array([0.71, 0.74, 0.69, 0.75]), numpy.array([0.70, 0.66, 0.65, 0.69, 0.61])
    reference = stats.permutation_test(
        (one, two), lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=numpy.inf
    )
    assert permutation([one], [two]).p == pytest.approx(reference.pvalue)


def test_with_one_run_a_split_the_permutation_flips_signs() -> None:
    one = numpy.array([0.71, 0.74, 0.69, 0.75, 0.73, 0.72])
    two = numpy.array([0.70, 0.66, 0.65, 0.76, 0.61, 0.70])
    found = permutation([*one[:, None]], [*two[:, None]])
    reference = stats.permutation_test(
        (one - two,), lambda d: abs(d.mean()), permutation_type="samples", alternative="greater", n_resamples=numpy.inf
    )
    assert found == pytest.approx((reference.pvalue, 2 / 2**6))


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 1 / 3), (3, 0.1), (4, 2 / 70), (5, 2 / 252)])
def test_the_smallest_p_that_so_few_runs_can_give(n: int, smallest: float) -> None:
    apart = permutation([numpy.arange(n) + 100.0], [numpy.arange(n) * 1.0])
    assert apart == pytest.approx((smallest, smallest))


def test_many_runs_are_drawn_and_never_give_zero() -> None:
    generator = numpy.random.default_rng(0)
    one, two = generator.normal(0.4, 1, 20), generator.normal(0, 1, 20)
    exact = stats.ttest_ind(one, two).pvalue
    assert permutation([one], [two]).p == pytest.approx(exact, abs=0.02)
    assert permutation([one + 50], [two]).p == pytest.approx(1 / 10_001)


def test_holm() -> None:
    assert holm(numpy.array([0.01, 0.04, numpy.nan, 0.03, 0.005])) == pytest.approx(
        [0.03, 0.06, numpy.nan, 0.06, 0.02], nan_ok=True
    )


def test_ranks_and_the_critical_difference_are_demsars() -> None:
    values = numpy.random.default_rng(0).integers(0, 5, (7, 4)).astype(float)
    assert average_ranks(values) == pytest.approx(stats.rankdata(-values, axis=1).mean(axis=0))
    published = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    for groups, q in published.items():  # table 5(a) of the paper
        assert critical_difference(groups, 14) == pytest.approx(q * numpy.sqrt(groups * (groups + 1) / 84), abs=2e-3)
    q = stats.studentized_range.ppf(0.95, 14, numpy.inf) / numpy.sqrt(2)
    assert critical_difference(14, 35) == pytest.approx(q, rel=1e-3)


class Simulation:
    """Runs whose rows are right or wrong by the row, the group, the seed, and chance."""

    rows, n = 200, 5

    def __init__(self, groups: int, better_by: float = 0.0, baseline: bool = False) -> None:
        self.weights = weights_of(self.rows)
        self.generator = numpy.random.default_rng(groups)
        self.better_by = numpy.zeros(groups)
        self.better_by[0] = better_by
        self.runs = [[a_run(group, seed) for seed in range(self.n)] for group in range(groups)]
        if baseline:  # the last group has one run, the same for any seed
            self.runs[-1] = [replace(self.runs[-1][0], is_deterministic=True)]

    def once(self) -> list[Standing]:
        draw = self.generator.normal
        groups = len(self.runs)
        rows = draw(1, 1, (1, 1, self.rows)) + draw(0, 0.7, (groups, 1, self.rows))  # how hard, and for which group
        seeds = draw(0, 0.15, (groups, self.n, 1)) + self.better_by[:, None, None]
        seeds[-1] *= len(self.runs[-1]) > 1
        right = (rows + seeds + draw(0, 0.5, (groups, self.n, self.rows)) > 0).astype(float)
        scores = {}
        for runs, of_group in zip(self.runs, right, strict=True):
            for run, values in zip(runs, on_rows(of_group[: len(runs)], self.weights), strict=True):
                scores[run] = Score(run, {"accuracy": float(values[0])}, values)
        named = [Group(runs, label=str(index)) for index, runs in enumerate(self.runs)]
        return compare(Block("data", "multiclass", "accuracy", ("split",), named), scores)


def a_run(group: int, seed: int) -> Run:
    counts = {"train": 1000, "test": Simulation.rows}
    settings = {"model": str(group), "seed": seed}
    fingerprints = ("data", "split")
    return Run(Path(), settings, "data", "multiclass", "accuracy", fingerprints, counts, 1, 1.0, {}, {}, "2026")


@pytest.mark.parametrize("groups", [2, 5])
def test_under_no_difference_better_is_claimed_in_at_most_a_twentieth(groups: int) -> None:
    simulation = Simulation(groups)
    times = 1000
    claims = covered = 0
    for _ in range(times):
        standings = simulation.once()
        claims += any(standing.verdict == "worse" for standing in standings)
        if groups == 2:
            covered += abs(standings[1].difference) <= standings[1].margin
    assert claims / times <= 0.05 + 2 * numpy.sqrt(0.05 * 0.95 / times)
    if groups == 2:
        assert covered / times >= 0.95 - 2 * numpy.sqrt(0.05 * 0.95 / times)


def test_a_baseline_of_one_run_is_compared_and_claims_hold_too() -> None:
    times = 250
    equal, better = Simulation(2, baseline=True), Simulation(2, better_by=0.6, baseline=True)
    claims = sum(equal.once()[1].verdict == "worse" for _ in range(times))
    assert claims / times <= 0.05 + 2 * numpy.sqrt(0.05 * 0.95 / times)
    assert sum(better.once()[1].verdict == "worse" for _ in range(25)) >= 20


def test_over_splits_too_better_is_claimed_in_at_most_a_twentieth() -> None:
    # Eight random splits of a thousand rows: some rows are tested several times, and as much of what training does to
    # the value is in common as Nadeau and Bengio suppose, n_test / (n_test + n_train) of its variance.
    generator = numpy.random.default_rng(4)
    times, splits, pool, rows = 1000, 8, 1000, 150
    tested = [generator.permutation(pool)[:rows] for _ in range(splits)]
    weights = [numpy.concatenate([*Resamples(row)]) for row in tested]
    claims = 0
    for _ in range(times):
        of_rows, trained = generator.normal(0, 1, (2, pool)), generator.normal(0, 0.1 * 0.15**0.5, (2, 1))
        samples = []
        for group in range(2):
            means = trained[group] + generator.normal(0, 0.1 * 0.85**0.5, splits)
            samples.append(
                [
                    on_rows((of_rows[group, row] + mean)[None], w)
                    for row, mean, w in zip(tested, means, weights, strict=True)
                ]
            )
        ours, theirs = ([split[:, 0] for split in sample] for sample in samples)
        claims += pairwise(samples, rows, 15 / 85).p[0, 1] < 0.05 and permutation(ours, theirs).p < 0.05
    assert claims / times <= 0.05 + 2 * numpy.sqrt(0.05 * 0.95 / times)


def test_a_difference_is_found() -> None:
    simulation = Simulation(2, better_by=0.6)
    found = [simulation.once() for _ in range(50)]
    assert sum(second.verdict == "worse" and first.group.label == "0" for first, second in found) >= 40


def test_intervals_of_means_cover() -> None:
    generator = numpy.random.default_rng(3)
    times = 1000
    covered = 0
    for _ in range(times):
        interval = estimate(without_rows(generator.normal(0.8, 0.02, 5)), 0.2)
        covered += interval.low <= 0.8 <= interval.high
    assert covered / times == pytest.approx(0.95, abs=2 * numpy.sqrt(0.05 * 0.95 / times))
