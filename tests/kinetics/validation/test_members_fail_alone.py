"""One replicate, lag, multiple, memory, sample or combination that fails is told and counted; the others stand."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.kinetics.estimation.nonreversible import Nonreversible
from thalweg.kinetics.estimation.reversible import Reversible
from thalweg.kinetics.macrostates.quasi_markov import memory_scan
from thalweg.kinetics.markov_state_model import MarkovStateModel
from thalweg.kinetics.validation import chapman_kolmogorov as chapman_kolmogorov_module
from thalweg.kinetics.validation.bootstrap import bootstrap, timescale_errors
from thalweg.kinetics.validation.chapman_kolmogorov import chapman_kolmogorov
from thalweg.kinetics.validation.implied_timescales import ImpliedTimescales
from thalweg.kinetics.validation.posterior import posterior


@pytest.fixture(scope="module")
def states():
    return np.cumsum(np.random.default_rng(0).random(4000) < 0.05) % 2


class Sometimes:
    """Work that is done but for some of its calls, which no estimator foresees."""

    def __init__(self, work, failing):
        self.work, self.failing, self.calls = work, failing, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls in self.failing:
            raise RuntimeError("Factor is exactly singular")
        return self.work(*arguments)


def test_a_replicate(states):
    model = MarkovStateModel(1, n_processes=1).fit([states])
    estimate = bootstrap(model, Sometimes(lambda m: m.timescales[0], {3}), samples=20)
    assert np.isnan(estimate.samples).sum() == 1
    assert np.isfinite(estimate.error)
    assert "1 of 20 bootstrap replicates failed" in str(estimate)
    assert "exactly singular" in estimate.told


def test_a_lag(states, monkeypatch):
    monkeypatch.setattr(Reversible, "fit", _failing_at({2}))
    scan = ImpliedTimescales([1, 2, 5], n_processes=1, samples=5).fit([states])
    assert set(scan.failures) == {2}
    assert np.isfinite(scan.timescales[[0, 2], 0]).all()
    assert "Factor is exactly singular" in str(scan)


def _failing_at(failing):
    """`Reversible.fit` that fails at some of its calls."""
    fit, calls = Reversible.fit, []

    def sometimes(self, counts, start=None):
        calls.append(1)
        if len(calls) in failing:
            raise RuntimeError("Factor is exactly singular")
        return fit(self, counts, start)

    return sometimes


def test_a_multiple_of_the_lag(states, monkeypatch):
    model = MarkovStateModel(1, n_processes=1).fit([states])
    count = Sometimes(chapman_kolmogorov_module.transition_counts, {2})
    monkeypatch.setattr(chapman_kolmogorov_module, "transition_counts", count)
    test = chapman_kolmogorov(model, np.array([0, 1]), multiples=3, samples=5)
    assert np.isnan(test.observed[1]).all()
    assert np.isfinite(test.deviations[[0, 2]]).all()
    assert "1 of 3 multiples of the lag time failed" in str(test)
    assert "(not observed)" in str(test)


def test_a_memory(states):
    scan = memory_scan([states], 1, [1, 3, 5000], samples=5)
    assert set(scan.failures) == {5000}
    assert np.isfinite(scan.timescales[:2]).all()
    assert "leaves no pairs" in str(scan)


def test_a_sample_of_the_posterior(states):
    model = MarkovStateModel(1, Nonreversible(), n_processes=1).fit([states])
    estimate = posterior(model, Sometimes(lambda m: m.timescales[0], {3}), samples=20)
    assert estimate.failed == pytest.approx(0.05)
    assert "1 of 20 posterior samples failed" in str(estimate)


def test_timescales_without_an_error_bar_are_written_without_one(states):
    model = MarkovStateModel(1, n_processes=1).fit([states])
    with pytest.warns(UserWarning, match="5 of 5 bootstrap replicates failed|all 5"):
        estimate = bootstrap(model, Sometimes(lambda m: m.timescales[0], {2, 3, 4, 5, 6}), samples=5)
    assert "(no error bar)" in str(estimate)
    assert "nan" not in str(estimate)


def test_error_bars_of_a_rough_landscape_are_all_there():
    """Replicates of states seen a few times, from whose populations no Newton iteration should begin."""
    random = np.random.default_rng(200)
    energies, path = random.normal(0, 1.0, 200), [0]
    steps, draws = random.integers(-3, 4, 10000), random.random(10000)
    for step, draw in zip(steps, draws):
        other = (path[-1] + step) % 200
        path.append(other if draw < np.exp(min(0.0, energies[path[-1]] - energies[other])) else path[-1])
    model = MarkovStateModel(20, n_processes=2).fit([np.array(path)])
    estimate = timescale_errors(model, samples=10)
    assert not estimate.told
    assert np.isfinite(estimate.error[0])
