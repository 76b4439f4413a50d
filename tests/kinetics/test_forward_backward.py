"""Lanes side by side give what one frame after another gives, whatever the lengths, lags and cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pytest

from thalweg.kinetics.forward_backward import forward_backward
from thalweg.kinetics.lanes import lanes
from thalweg.kinetics.most_likely_path import most_likely_path
from thalweg.kinetics.outputs import fitting

MATRIX = np.array([[0.97, 0.02, 0.01], [0.05, 0.9, 0.05], [0.01, 0.02, 0.97]])
INITIAL, STATIONARY = np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.2, 0.3])


def plain(relative, weight=1.0):
    """The recursion frame by frame: log-likelihood, memberships, transitions."""
    alpha, scale = [INITIAL * relative[0]], []
    for seen in relative[1:]:
        scale.append(alpha[-1].sum())
        alpha[-1] = alpha[-1] / scale[-1]
        alpha.append(alpha[-1] @ MATRIX * seen)
    scale.append(alpha[-1].sum())
    alpha[-1] = alpha[-1] / scale[-1]
    beta, counts, gamma = np.ones(3), np.zeros((3, 3)), [alpha[-1]]
    for t in range(len(relative) - 1, 0, -1):
        ahead = relative[t] * beta / scale[t]
        counts += alpha[t - 1][:, None] * MATRIX * ahead
        beta = MATRIX @ ahead
        gamma.append(alpha[t - 1] * beta)
    return np.log(scale).sum(), np.array(gamma[::-1]), counts


@dataclass(frozen=True, eq=False)
class Given:
    """An output whose likelihoods are given: what is observed is the number of the frame."""

    likelihoods: np.ndarray

    def relative(self, observed, out=None):
        found = fitting(out, (self.likelihoods.shape[1], len(observed)))
        found[:] = self.likelihoods[observed].T
        return found, np.zeros(len(observed))

    def refitted(self, observed, memberships):
        return self

    def permuted(self, order):
        return Given(self.likelihoods[:, order])


def recursion(cut, likelihoods, *options):
    return forward_backward(cut, Given(likelihoods), cut.frames, MATRIX, INITIAL, STATIONARY, *options)


@pytest.fixture(scope="module")
def likelihoods():
    random = np.random.default_rng(0)
    hidden = np.repeat(random.integers(0, 3, 600), 20)
    blurred = random.random((len(hidden), 3)) * 0.3
    blurred[np.arange(len(hidden)), hidden] += 0.5
    return blurred / blurred.max(axis=1, keepdims=True)


LENGTHS = np.array([7000, 1, 30, 900, 2, 4067])


@pytest.mark.parametrize("lagtime", [1, 3])
@pytest.mark.parametrize("blocks", [1, 40])
def test_lanes_give_what_single_frames_give(likelihoods, lagtime, blocks):
    cut = lanes(LENGTHS, lagtime, blocks, run_in=100)
    found = recursion(cut, likelihoods)
    value, transitions, start = 0.0, np.zeros((3, 3)), 0
    memberships = np.full((LENGTHS.sum(), 3), np.nan)
    for length in LENGTHS:
        for shift in range(min(lagtime, length)):
            frames = np.arange(start + shift, start + length, lagtime)
            part, gamma, counts = plain(likelihoods[frames])
            value, transitions = value + part, transitions + counts
            memberships[frames] = gamma
        start += length
    assert found.mismatch < 1e-10
    assert found.log_likelihood == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(found.transitions, transitions, rtol=1e-8)
    np.testing.assert_allclose(found.memberships[:, cut.own].T, memberships[cut.frames[cut.own]], atol=1e-10)
    assert not found.memberships[:, ~cut.own].any()
    assert len(cut) >= max(blocks, 6)
    assert cut.n_blocks <= max(blocks, 6)


def test_too_short_a_run_in_is_seen(likelihoods):
    cut = lanes(np.array([len(likelihoods)]), 1, 200, run_in=1)
    assert recursion(cut, likelihoods).mismatch > 1e-3


def test_weights_count_lanes_as_often_as_they_say(likelihoods):
    cut = lanes(LENGTHS, 1, 10, run_in=100)
    total = recursion(cut, likelihoods)
    parts = [recursion(cut, likelihoods, np.where(cut.block == k, 2.0, 0.0)) for k in range(cut.n_blocks)]
    assert sum(p.log_likelihood for p in parts) == pytest.approx(2 * total.log_likelihood)
    np.testing.assert_allclose(sum(p.transitions for p in parts), 2 * total.transitions)
    np.testing.assert_allclose(sum(p.memberships for p in parts), 2 * total.memberships, atol=1e-12)


def test_frames_that_no_state_explains_do_not_underflow():
    """Every frame contradicts the one before by sixty orders of magnitude."""
    relative = np.tile([[1.0, 1e-60], [1e-60, 1.0]], (1, 500))
    stiff = np.array([[1 - 1e-12, 1e-12], [1e-12, 1 - 1e-12]])
    half = np.full(2, 0.5)
    cut = lanes(np.array([1000]), 1, 1, 0)
    found = forward_backward(cut, Given(relative.T), cut.frames, stiff, half, half)
    assert np.isfinite(found.log_likelihood)
    np.testing.assert_allclose(found.memberships.sum(axis=0), 1)


def test_the_best_path_is_the_best_of_all():
    relative = np.random.default_rng(3).random((8, 3))
    paths = list(product(range(3), repeat=8))

    def likelihood(path):
        moves = np.prod([MATRIX[i, j] for i, j in pairwise(path)])
        return INITIAL[path[0]] * moves * np.prod(relative[np.arange(8), list(path)])

    best = max(paths, key=likelihood)
    one = lanes(np.array([8]), 1, 1, 0)
    found, agree = most_likely_path(one, relative.T.copy(), MATRIX, INITIAL, STATIONARY)
    assert tuple(found.tolist()) == best
    assert agree


def test_the_best_path_through_lanes_is_that_of_one_lane(likelihoods):
    cut = lanes(np.array([len(likelihoods)]), 1, 50, 60)
    path, agree = most_likely_path(
        cut, np.ascontiguousarray(likelihoods[cut.frames].T), MATRIX, INITIAL, STATIONARY
    )
    whole = lanes(np.array([len(likelihoods)]), 1, 1, 0)
    assert len(whole) == 1 < 50 <= len(cut)
    single, _ = most_likely_path(
        whole,
        np.ascontiguousarray(likelihoods.T),
        MATRIX,
        INITIAL,
        STATIONARY,
    )
    assert agree
    np.testing.assert_array_equal(path[cut.own], single[cut.frames[cut.own]])


def test_deeptime_finds_the_same(likelihoods):
    bindings = pytest.importorskip("deeptime.markov.hmm._hmm_bindings").util
    length, relative = len(likelihoods), np.ascontiguousarray(likelihoods)
    alpha, beta, gamma, counts = (np.empty((n, 3)) for n in (length, length, length, 3))
    value = bindings.forward(MATRIX, relative, INITIAL, alpha_out=alpha, T=length)
    bindings.backward(MATRIX, relative, beta_out=beta, T=length)
    bindings.state_probabilities(alpha, beta, gamma_out=gamma, T=length)
    bindings.transition_counts(alpha, beta, MATRIX, relative, counts_out=counts, T=length)
    cut = lanes(np.array([length]), 1, 40, 100)
    found = recursion(cut, likelihoods)
    assert found.log_likelihood == pytest.approx(value)
    np.testing.assert_allclose(found.transitions, counts, rtol=1e-6)
    np.testing.assert_allclose(found.memberships[:, cut.own].T, gamma[cut.frames[cut.own]], atol=1e-8)
