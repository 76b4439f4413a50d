"""Lanes side by side give what one frame after another gives, whatever the lengths, lags and cuts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
import pytest

from thalweg.kinetics.hidden.forward_backward import forward_backward
from thalweg.kinetics.hidden.lanes import WIDTH, lanes
from thalweg.kinetics.hidden.most_likely_path import most_likely_path
from thalweg.kinetics.hidden.observations import LONGER, RUN_IN, observations
from thalweg.kinetics.hidden.outputs import DiscreteOutput, fitting

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

    def tally(self, observed, memberships):
        return np.zeros(0)

    def refitted(self, tally):
        return self

    def permuted(self, order):
        return Given(self.likelihoods[:, order])


def recursion(cut, likelihoods, multiplicities=None):
    """What the recursion expects, and memberships ``(frames, hidden)``."""
    memberships = np.full((len(cut.block), 3), np.nan)

    def each(group, part):
        own = cut.own[group, cut.rows]
        memberships[cut.frames[group, cut.rows][own]] = part[:, own.ravel()].T
        assert not part[:, ~own.ravel()].any()

    numbers = cut.laid(np.arange(len(cut.block)))
    weights = None if multiplicities is None else cut.weights(multiplicities)
    given = Given(likelihoods), numbers, MATRIX, INITIAL, STATIONARY, weights, each
    return forward_backward(cut, *given), memberships


def best(cut, likelihoods, matrix=MATRIX):
    numbers = cut.laid(np.arange(len(cut.block)))
    return most_likely_path(cut, Given(likelihoods), numbers, matrix, INITIAL, STATIONARY)


@pytest.fixture(scope="module")
def likelihoods():
    random = np.random.default_rng(0)
    hidden = np.repeat(random.integers(0, 3, 600), 20)
    blurred = random.random((len(hidden), 3)) * 0.3
    blurred[np.arange(len(hidden)), hidden] += 0.5
    return blurred / blurred.max(axis=1, keepdims=True)


LENGTHS = np.array([7000, 1, 30, 900, 2, 4067])


def sequences(lengths, lagtime):
    """Frames of all interleaved sequences."""
    ends = np.cumsum(lengths)
    return [
        np.arange(end - length + shift, end, lagtime)
        for end, length in zip(ends, lengths)
        for shift in range(min(lagtime, length))
    ]


@pytest.mark.parametrize("lagtime", [1, 3])
@pytest.mark.parametrize("run_in", [100, 0])
def test_lanes_give_what_single_frames_give(likelihoods, lagtime, run_in):
    """Lanes run in, or what lies before and after them is worked out from every state."""
    cut = lanes(LENGTHS, lagtime, 40, run_in)
    found, memberships = recursion(cut, likelihoods)
    value, transitions, exact = 0.0, np.zeros((3, 3)), np.empty_like(memberships)
    for frames in sequences(LENGTHS, lagtime):
        part, exact[frames], counts = plain(likelihoods[frames])
        value, transitions = value + part, transitions + counts
    assert found.mismatch < 1e-13
    assert found.log_likelihood == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(found.transitions, transitions, rtol=1e-10)
    np.testing.assert_allclose(memberships, exact, atol=1e-12)
    begun = sum(exact[frames[0]] for frames in sequences(LENGTHS, lagtime))
    np.testing.assert_allclose(found.initial, begun, rtol=1e-12)


def test_long_data_go_through_several_groups(likelihoods):
    long = np.tile(likelihoods, (8, 1))
    together = recursion(lanes(np.array([len(long)]), 1, 40, 100), long)
    alone = recursion(lanes(np.array([len(long)]), 1, 40, 0), long)
    assert len(lanes(np.array([len(long)]), 1, 40, 100)) > WIDTH
    assert together[0].log_likelihood == pytest.approx(alone[0].log_likelihood, rel=1e-13)
    np.testing.assert_allclose(together[0].transitions, alone[0].transitions, rtol=1e-10)
    np.testing.assert_allclose(together[1], alone[1], atol=1e-12)


def test_too_short_a_run_in_is_seen_and_mended(likelihoods):
    cut = lanes(np.array([len(likelihoods)]), 1, 200, run_in=1)
    assert recursion(cut, likelihoods)[0].mismatch > 1e-3


@pytest.mark.parametrize("stay", [0.9, 1 - 1e-5])
def test_observations_run_in_as_long_as_their_hidden_states_are_remembered(stay):
    """Slow hidden states that show little of themselves are remembered for thousands of frames."""
    random = np.random.default_rng(0)
    shown, chain = random.integers(0, 2, 20000), np.array([[stay, 1 - stay], [1 - stay, stay]])
    output = DiscreteOutput(np.array([[0.52, 0.48], [0.48, 0.52]]))
    start = np.array([0.3, 0.7])
    seen, found, tally = observations([shown], 1, 10).expectation(output, chain, start, np.full(2, 0.5))
    one = observations([shown], 1, 10)
    exact = replace(one, lanes=lanes(one.lengths, 1, 10, 0))
    exact = replace(exact, values=exact.lanes.laid(shown))
    _, other, same = exact.expectation(output, chain, start, np.full(2, 0.5))
    np.testing.assert_allclose(found.transitions, other.transitions, rtol=1e-9)
    np.testing.assert_allclose(tally, same, rtol=1e-9)
    assert seen.lanes.run_in == (0 if stay > 0.99 else RUN_IN * LONGER)


def test_weights_count_blocks_as_often_as_they_say(likelihoods):
    cut = lanes(LENGTHS, 1, 10, run_in=100)
    total, memberships = recursion(cut, likelihoods)
    twice = 2.0 * np.eye(cut.n_blocks)
    parts = [recursion(cut, likelihoods, row) for row in twice]
    assert sum(p.log_likelihood for p, _ in parts) == pytest.approx(2 * total.log_likelihood)
    np.testing.assert_allclose(sum(p.transitions for p, _ in parts), 2 * total.transitions)
    np.testing.assert_allclose(sum(p.initial for p, _ in parts), 2 * total.initial, atol=1e-12)
    np.testing.assert_allclose(sum(m for _, m in parts), 2 * memberships, atol=1e-12)


def test_frames_that_no_state_explains_do_not_underflow():
    """Every frame contradicts the one before by sixty orders of magnitude."""
    relative = np.tile([[1.0, 1e-60], [1e-60, 1.0]], (1, 500))
    stiff = np.array([[1 - 1e-12, 1e-12], [1e-12, 1 - 1e-12]])
    half = np.full(2, 0.5)
    cut = lanes(np.array([1000]), 1, 1, 48)
    sums = []
    given = cut.laid(np.arange(1000)), stiff, half, half, None, lambda _, part: sums.append(part.sum())
    found = forward_backward(cut, Given(relative.T), *given)
    assert np.isfinite(found.log_likelihood)
    assert sum(sums) == pytest.approx(1000)


@pytest.mark.parametrize("run_in", [8, 0])
def test_the_best_path_is_the_best_of_all(run_in):
    relative = np.random.default_rng(3).random((8, 3))
    paths = list(product(range(3), repeat=8))

    def likelihood(path):
        moves = np.prod([MATRIX[i, j] for i, j in pairwise(path)])
        return INITIAL[path[0]] * moves * np.prod(relative[np.arange(8), list(path)])

    found, agree = best(lanes(np.array([8]), 1, 1, run_in), relative)
    assert tuple(found.tolist()) == max(paths, key=likelihood)
    assert agree


def plain_path(relative):
    """The best path frame by frame."""
    score, came = np.log(INITIAL * relative[0]), []
    for seen in relative[1:]:
        trial = score[:, None] + np.log(MATRIX)
        came.append(trial.argmax(axis=0))
        score = trial.max(axis=0) + np.log(seen)
    path = [score.argmax()]
    for origin in came[::-1]:
        path.append(origin[path[-1]])
    return np.array(path[::-1])


@pytest.mark.parametrize("run_in", [100, 0])
@pytest.mark.parametrize("lagtime", [1, 3])
def test_the_best_path_through_lanes_is_that_of_single_frames(likelihoods, run_in, lagtime):
    path, agree = best(lanes(LENGTHS, lagtime, 1, run_in), likelihoods)
    assert agree
    for frames in sequences(LENGTHS, lagtime):
        np.testing.assert_array_equal(path[frames], plain_path(likelihoods[frames]))


def test_the_best_path_of_several_groups_needs_no_run_in(likelihoods):
    long = np.tile(likelihoods, (8, 1))
    paths = [best(lanes(np.array([len(long)]), 1, 1, run_in), long)[0] for run_in in (100, 0)]
    np.testing.assert_array_equal(*paths)


def test_deeptime_finds_the_same(likelihoods):
    bindings = pytest.importorskip("deeptime.markov.hmm._hmm_bindings").util
    length, relative = len(likelihoods), np.ascontiguousarray(likelihoods)
    alpha, beta, gamma, counts = (np.empty((n, 3)) for n in (length, length, length, 3))
    value = bindings.forward(MATRIX, relative, INITIAL, alpha_out=alpha, T=length)
    bindings.backward(MATRIX, relative, beta_out=beta, T=length)
    bindings.state_probabilities(alpha, beta, gamma_out=gamma, T=length)
    bindings.transition_counts(alpha, beta, MATRIX, relative, counts_out=counts, T=length)
    found, memberships = recursion(lanes(np.array([length]), 1, 40, 100), likelihoods)
    assert found.log_likelihood == pytest.approx(value)
    np.testing.assert_allclose(found.transitions, counts, rtol=1e-6)
    np.testing.assert_allclose(memberships, gamma, atol=1e-8)
