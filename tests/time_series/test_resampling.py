"""Bootstrap errors are those of theory where theory knows them."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.covariances.covariance import covariances
from thalweg.time_series.resampling import Estimate, resample


def test_the_error_of_a_mean_is_that_of_theory():
    claimed = [
        float(resample(covariances(x[:, None]), lambda c: c.mean_0, samples=60).error[0])
        for x in np.random.default_rng(0).standard_normal((30, 2000))
    ]
    assert np.mean(claimed) == pytest.approx(2000**-0.5, rel=0.1)


def test_correlated_data_have_the_larger_error_they_deserve():
    random = np.random.default_rng(1)
    x = np.zeros(60000)
    for t in range(1, len(x)):
        x[t] = 0.95 * x[t - 1] + random.standard_normal()
    estimate = resample(covariances(x[:, None]), lambda c: c.mean_0, samples=200)
    assert float(estimate.error[0]) == pytest.approx(20 / 60000**0.5, rel=0.3)


def test_an_interval_of_a_positive_quantity_stays_positive_and_holds_the_value():
    samples = np.exp(np.random.default_rng(0).standard_normal(500))
    low, high = Estimate(np.array(1.0), samples, n_blocks=50).interval()
    assert 0 < low < 1 < high


def test_replicates_without_an_answer_are_counted_not_hidden():
    sums = covariances(np.random.default_rng(0).standard_normal((1000, 1)))

    def fails_sometimes(c):
        if c.mean_0[0] < 0 and c.n_blocks == 1:
            raise ValueError("no answer")
        return c.c00

    with pytest.warns(
        UserWarning, match="of 100 bootstrap replicates failed and are left out; first, .* no answer"
    ):
        estimate = resample(sums, fails_sometimes)
    assert estimate.told in str(estimate)
    assert 0 < estimate.failed[0, 0] < 1
    assert np.isfinite(estimate.error[0, 0])


def test_one_block_is_not_enough():
    with pytest.raises(ValueError, match="at least two blocks"):
        resample(covariances(np.ones((10, 1)), n_blocks=1), lambda c: c.mean_0)
