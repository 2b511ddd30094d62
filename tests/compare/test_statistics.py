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
from lit_models.metrics.task_metrics import MEASURES

Array = Any
ENDLESS = (-numpy.inf, numpy.inf)


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
    levels = numpy.array([1e-4, 0.05, 0.3, 0.9])
    assert student_t.two_sided(student_t.quantile(df, levels), df) == pytest.approx(levels, rel=1e-12)


def test_no_probability_is_above_1() -> None:
    """Near t = 0 the quadrature rounds to 1 or a little more."""
    assert student_t.two_sided(1e-12 * numpy.arange(20), numpy.arange(1, 300)[:, None]).max() == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[0.71, 0.74, 0.69, 0.75, 0.73], [0.71, 0.74, 0.7], [0.71, 0.74]])
def test_the_interval_is_students(values: list[float]) -> None:
    interval = estimate(without_rows(values), 0.2, ENDLESS)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=numpy.mean(values), scale=stats.sem(values))
    ends = (low, high) if len(values) >= 3 else (numpy.nan, numpy.nan)
    assert interval == pytest.approx((numpy.mean(values), numpy.std(values, ddof=1), *ends), nan_ok=True)
    alone = estimate(without_rows([0.7]), 0.2, ENDLESS)
    assert alone == pytest.approx((0.7, numpy.nan, numpy.nan, numpy.nan), nan_ok=True)


def test_the_interval_over_several_splits_is_that_of_their_means() -> None:
    runs = [[0.71, 0.74], [0.69, 0.75, 0.73], [0.66, 0.7]]
    sample = [numpy.column_stack([values, numpy.zeros((len(values), RESAMPLES))]) for values in runs]
    means = [numpy.mean(values) for values in runs]
    half = stats.t.ppf(0.975, 2) * numpy.sqrt(1 / 3 + 15 / 70) * numpy.std(means, ddof=1)
    mean, sd = numpy.mean(means), numpy.std(numpy.concatenate(runs), ddof=1)
    assert estimate(sample, 15 / 70, ENDLESS) == pytest.approx((mean, sd, mean - half, mean + half))


@pytest.mark.parametrize(
    ("metric", "task", "values", "end"),
    [
        ("accuracy", "binary", [1, 1, 1, 0.96], (1, 1.0)),
        ("recall_binary", "binary", [0, 0, 0.03], (0, 0.0)),
        ("rmse", "regression", [0.1, 0.1, 0.3], (0, 0.0)),
        ("r2", "regression", [0.99, 1, 1], (1, 1.0)),
    ],
)
def test_no_interval_passes_the_end_of_its_metric(
    metric: str, task: str, values: list[float], end: tuple[int, float]
) -> None:
    found = estimate(without_rows(values), 0.2, MEASURES[task][metric].limits)
    free = estimate(without_rows(values), 0.2, ENDLESS)
    side, value = end
    assert (found.low, found.high)[side] == value
    assert (free.high > 1) if side else (free.low < 0)
    assert (found.low, found.high)[1 - side] == (free.low, free.high)[1 - side]


def variance_of(values: Array, axis: int | None = None) -> Array:
    """Computes the unbiased variance."""
    return numpy.var(values, axis=axis, ddof=1)


def check_pair(samples: list[Array], rows: int, variances: tuple[float, float, float], df_term: float) -> None:
    """Compares a test with the formula of the module for one pair: variances of rows, of seeds, and explained."""
    of_rows, of_seeds, explained = variances
    finite = (rows + 1) / (rows - 1)
    variance = finite * of_rows + max(of_seeds - finite * explained, 0)
    df = max(variance**2 / (df_term + (finite * of_rows) ** 2 / min(rows - 1, RESAMPLES - 1)), 1)
    ours, theirs = (numpy.mean([split[:, 0].mean() for split in sample]) for sample in samples)
    p = 2 * stats.t.sf(abs(ours - theirs) / numpy.sqrt(variance), df)
    pairs = pairwise(samples, rows, 15 / 70)
    found = pairs.difference[0, 1], pairs.error[0, 1] ** 2, pairs.df[0, 1], pairs.p[0, 1]
    assert found == pytest.approx((ours - theirs, variance, df, p), rel=1e-5)
    assert pairs.difference[1, 0] == theirs - ours
    assert pairs.p[0, 0] == pytest.approx(1)


SPREADS = pytest.mark.parametrize("seeds", [0.1, 1.0, 3.0])  # less, as much and more than rows explain


@SPREADS
@pytest.mark.parametrize("rows", [2, 20, 1000])
def test_a_pair_over_seeds_and_rows_has_the_variance_of_both(seeds: float, rows: int) -> None:
    generator = numpy.random.default_rng(5)
    samples = [[generator.normal(1.5, seeds, (n, 1)) + generator.normal(0, 1, (n, 1 + RESAMPLES))] for n in (2, 5)]
    means = [sample[0].mean(axis=0) for sample in samples]
    of_rows = variance_of(means[0][1:] - means[1][1:])
    own = [variance_of(sample[0][:, 0]) / len(sample[0]) for sample in samples]
    explained = [
        sum(variance_of(run) for run in (sample[0] - mean)[:, 1:]) / (len(sample[0]) - 1) / len(sample[0])
        for sample, mean in zip(samples, means, strict=True)
    ]
    check_pair(samples, rows, (of_rows, sum(own), sum(explained)), own[0] ** 2 / 1 + own[1] ** 2 / 4)


@SPREADS
@pytest.mark.parametrize("rows", [2, 20, 1000])
def test_a_pair_over_splits_and_rows_has_the_variance_of_both(seeds: float, rows: int) -> None:
    generator = numpy.random.default_rng(6)
    samples = [
        [generator.normal(1.5, seeds, (2, 1)) + generator.normal(0, 1, (2, 1 + RESAMPLES)) for _ in range(4)]
        for _ in range(2)
    ]
    ours, theirs = (numpy.array([split.mean(axis=0) for split in sample]) for sample in samples)
    d = ours - theirs
    of_seeds = (1 / 4 + 15 / 70) * variance_of(d[:, 0])
    explained = variance_of((d - d.mean(axis=0))[:, 1:], axis=1).sum() / 3 / 4
    check_pair(samples, rows, (variance_of(d[:, 1:].mean(axis=0)), of_seeds, explained), of_seeds**2 / 3)


def test_few_degrees_of_freedom_are_at_least_1() -> None:
    """Rows explain all of the variance over the seeds, of which the degrees of freedom are still few."""
    deviation = numpy.concatenate([[0.1], numpy.tile([1.0, -1.0], RESAMPLES // 2)])
    common = numpy.concatenate([[0.0], numpy.repeat([0.01, -0.01], RESAMPLES // 2)])
    pairs = pairwise([[0.8 + common + numpy.outer([1, -1], deviation)], without_rows([0.8, 0.8])], 1000, 0.2)
    assert pairs.error[0, 1] == pytest.approx(0.01, rel=0.01)
    assert pairs.df[0, 1] == 1


def test_without_any_variance_groups_are_the_same_or_apart() -> None:
    pairs = pairwise([without_rows(2 * [value]) for value in (0.8, 0.8, 0.7)], 100, 0.2)
    assert pairs.p[0] == pytest.approx([1, 1, 2 * stats.t.sf(1e6, 1)])
    assert (pairs.df == 1).all()


def test_a_single_run_has_no_test() -> None:
    pairs = pairwise([without_rows([0.8]), without_rows([0.7, 0.72]), without_rows([0.6, 0.62])], 100, 0.2)
    assert numpy.isnan(pairs.p).tolist() == [[True, True, True], [True, False, False], [True, False, False]]


def test_a_single_test_row_or_group_is_taken() -> None:
    pairs = pairwise([without_rows([0.7, 0.72]), without_rows([0.6, 0.62])], 1, 0.2)
    assert pairs.difference[0, 1] == pytest.approx(0.1)
    assert pairwise([without_rows([0.7, 0.72])], 100, 0.2).p.shape == (1, 1)


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
    assert pairs.df[0, 1] == pytest.approx(RESAMPLES - 1)


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


MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def split_mix(state: int) -> int:
    """Computes the first number of SplitMix64 with this seed."""
    z = (state + GOLDEN) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def test_weights_are_logarithms_of_split_mix() -> None:
    """A comparison of another day has the same weights."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]  # the numbers of seed 1234567
    assert [split_mix((1234567 + index * GOLDEN) & MASK) for index in range(3)] == published
    rows = [0, 1, 40, 10**12]
    (weights,) = Resamples(numpy.array(rows))
    hashes = [[split_mix(split_mix(number << 40) + (row - 1) * GOLDEN & MASK) for row in rows] for number in range(200)]
    uniform = (numpy.array([[number >> 11 for number in line] for line in hashes]) + 0.5) / 2**53
    assert weights.shape == (200, 4)
    assert (weights == -numpy.log(uniform)).all()


def test_weights_are_stored_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, stored in ((3 * RESAMPLES, True), (3 * RESAMPLES - 1, False)):
        monkeypatch.setattr(bayesian_bootstrap, "MAX_STORED", limit)
        resamples = Resamples(numpy.arange(3))
        assert (next(iter(resamples)) is next(iter(resamples))) == stored


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


def test_groups_of_unequal_sizes_can_reach_half_the_p() -> None:
    """An exchange of all runs counts as another one only in groups of the same size."""
    one, two = numpy.array([5.0, 6.0]), numpy.array([1.0, 2.0, 3.0])
    assert permutation([one], [two]).smallest == 1 / 10
    assert permutation([one, one], [two, two[:2]]).smallest == 1 / 60
    assert permutation([one, one], [two[:2], two[:2]]).smallest == 2 / 36


@pytest.mark.parametrize("size", [1, 20])
def test_identical_groups_have_p_1(size: int) -> None:
    values = numpy.full(size, 0.7)
    assert permutation([values], [values]).p == 1


@pytest.mark.parametrize(
    ("sizes", "smallest"),
    [([(3, 3), (1, 9), (1, 9), (1, 9)], 1 / 20_000), ([(1, 2), (1, 58), (1, 112)], 1 / 10_001)],
    ids=["20,000", "20,001"],
)
def test_above_20_000_permutations_are_drawn(sizes: list[tuple[int, int]], smallest: float) -> None:
    first, second = ([numpy.arange(pair[group]) * 1.0 for pair in sizes] for group in range(2))
    found = permutation(first, second)
    assert found.smallest == smallest
    assert 0 < found.p < 1
    assert found.p / smallest == pytest.approx(round(found.p / smallest), abs=1e-6)  # a count of as many exchanges


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
    assert holm(numpy.array([0.9, 0.6])).tolist() == [1, 1]
    assert numpy.isnan(holm(numpy.array([numpy.nan]))).all()


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
        interval = estimate(without_rows(generator.normal(0.8, 0.02, 5)), 0.2, ENDLESS)
        covered += interval.low <= 0.8 <= interval.high
    assert covered / times == pytest.approx(0.95, abs=2 * numpy.sqrt(0.05 * 0.95 / times))
