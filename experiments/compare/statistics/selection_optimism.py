"""Expected optimism of the best of several candidates, which the same test rows choose and measure.

The best is partly the best and partly lucky on these rows, so its metric is expected to be lower on new ones. How much
is a bootstrap estimate, as for the best of several configurations in Tibshirani & Tibshirani (2009) and in Tsamardinos,
Greasidou & Borboudakis (2018): on each resample of the rows the best candidate is chosen, and what it gains on the
resample over its true value is averaged. All candidates are on the same resample, since their rows are the same.

The measured values spread more than the true ones, by the noise of the rows. Taken for the true ones, they would
separate the candidates too well and make too little of luck. So they are drawn together until the spread is that of
the measured values minus the noise's, as in empirical Bayes (Efron & Morris 1973): fully, if noise explains all of it.
"""

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]


def selection_optimism(values: Array, rows: int) -> float:
    """Estimates how much the best candidate's value exceeds its expected value on new rows, which is at least 0.

    Args:
        values: (C, 1 + RESAMPLES) of the candidates, high is good: on the test rows, then on resamples of them.
        rows: Number of test rows.

    Returns:
        NaN for less than two candidates with defined values, or less than two rows.
    """
    values = values[~numpy.isnan(values).any(axis=1)]
    if len(values) < 2 or rows < 2:
        return numpy.nan
    measured, resampled = values[:, 0], values[:, 1:]
    finite = numpy.sqrt((rows + 1) / (rows - 1))  # the Bayesian bootstrap's variance is biased
    noise = finite * (resampled - resampled.mean(axis=1, keepdims=True))
    noise -= noise.mean(axis=0)  # in common to all, it chooses none
    spread = measured.var(ddof=1)
    true_spread = max(spread - float(noise.var(axis=0, ddof=1).mean()), 0)
    shrinkage = numpy.sqrt(true_spread / spread) if spread else 0
    true = shrinkage * (measured - measured.mean())
    chosen = (true[:, None] + noise).argmax(axis=0)
    optimism = float(noise[chosen, numpy.arange(noise.shape[1])].mean())
    return optimism if optimism > 1e-12 else 0.0  # of equal predictions rounding errors are left
