"""The power law of a learning curve: known curves are found again, and its intervals cover what they promise."""

import numpy
import pytest
from scipy.optimize import curve_fit

from experiments.compare.statistics.power_law import MISFIT, fit

ROWS = [100, 200, 500, 1000]
CURVES = [(0.0, 2.0, 0.3), (0.05, 3.0, 0.5), (0.02, 1.0, 0.2), (0.1, 8.0, 0.8)]


def noisy(curve: tuple[float, float, float], noise: float, seed: int, repetitions: int = 3) -> list[list[float]]:
    floor, scale, exponent = curve
    random = numpy.random.default_rng(seed)
    return [[(floor + scale * n**-exponent) * (1 + noise * random.normal()) for _ in range(repetitions)] for n in ROWS]


def reduction_of(curve: tuple[float, float, float]) -> float:
    floor, scale, exponent = curve
    now, then = (floor + scale * n**-exponent for n in (ROWS[-1], 2 * ROWS[-1]))
    return (now - then) / now


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_without_noise_is_found_again(curve: tuple[float, float, float]) -> None:
    law = fit(ROWS, noisy(curve, 1e-6, 0))
    assert law is not None
    assert law.is_followed
    assert law.reduction()[0] == pytest.approx(reduction_of(curve), abs=0.005)
    assert law.error(numpy.array(ROWS))[0] == pytest.approx([each[0] for each in noisy(curve, 0, 0)], rel=0.01)


def test_the_fit_is_that_of_scipys_least_squares() -> None:
    errors = noisy(CURVES[1], 0.03, 4, repetitions=5)
    means = numpy.mean(errors, axis=1)
    found, _ = curve_fit(lambda n, a, b, c: a + b * n**-c, ROWS, means, p0=(0.05, 3, 0.5), sigma=means, maxfev=9999)
    law = fit(ROWS, errors)
    assert law is not None
    curve = found[0] + found[1] * numpy.array(ROWS) ** -found[2]
    assert law.error(numpy.array(ROWS))[0] == pytest.approx(curve, rel=0.005)


@pytest.mark.parametrize(("noise", "curve"), [(0.02, CURVES[0]), (0.08, CURVES[1])])
def test_intervals_cover_the_true_reduction(noise: float, curve: tuple[float, float, float]) -> None:
    covered = 0
    for seed in range(40):
        law = fit(ROWS, noisy(curve, noise, seed))
        assert law is not None
        low, high = numpy.quantile(law.reduction()[1:], [0.025, 0.975])
        covered += low <= reduction_of(curve) <= high
    assert covered >= 34  # 33 or fewer of 40 would be seen in less than 1 % of cases at 95 %


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.02, 0.08])
@pytest.mark.parametrize("curve", [*CURVES, (0.2, 0.0, 0.5)])
def test_many_intervals_cover_the_true_reduction(noise: float, curve: tuple[float, float, float]) -> None:
    laws = [fit(ROWS, noisy(curve, noise, seed)) for seed in range(400)]
    ends = [numpy.quantile(law.reduction()[1:], [0.025, 0.975]) for law in laws if law is not None]
    assert len(ends) == 400
    assert numpy.mean([low <= reduction_of(curve) <= high for low, high in ends]) >= 0.95 - 2.5 * (0.0475 / 400) ** 0.5


def test_errors_that_do_not_fall_have_no_slope() -> None:
    law = fit(ROWS, [[0.2, 0.21], [0.2, 0.22], [0.21, 0.22], [0.22, 0.23]])
    assert law is not None
    assert law.reduction()[0] == 0
    assert law.error(1e9)[0] == pytest.approx(law.error(ROWS[0])[0])


def test_points_far_from_any_power_law_are_no_power_law() -> None:
    jump = fit(ROWS, [[0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [0.1, 0.1, 0.1]])
    assert jump is not None
    assert not jump.is_followed
    assert jump.misfit > MISFIT


@pytest.mark.parametrize(
    ("rows", "errors"),
    [
        (ROWS[:3], [[0.3, 0.3, 0.3], [0.2, 0.2, 0.2], [0.1, 0.1, 0.1]]),
        (ROWS, [[0.3], [0.2], [0.1], [0.1]]),
        (ROWS, [[0.3, 0.3], [0.2, 0.2], [0.1, 0.1], [0.0, 0.0]]),
    ],
)
def test_too_few_points_repetitions_or_no_error_have_no_fit(rows: list[int], errors: list[list[float]]) -> None:
    assert fit(rows, errors) is None
