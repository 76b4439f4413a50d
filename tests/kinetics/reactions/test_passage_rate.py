"""Rates of walks that were started anywhere, beside those of chains that are known."""

import numpy as np
import pytest

from thalweg.kinetics.reactions.passage_rate import passage_rate
from thalweg.kinetics.states.discrete_trajectories import DiscreteTrajectories
from thalweg.testsystems.chain import sampled_states
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import PrinzPotential

CHAIN = np.diag([0.1, 0.05, 0.05, 0.2], 1) + np.diag([0.3, 0.2, 0.1, 0.05], -1)
CHAIN += np.diag(1 - CHAIN.sum(1))


def exact_time(matrix, weights, a, b):
    """Mean steps from the mask ``a``, states weighted as at equilibrium, to the mask ``b``, as seen at every step."""
    outside = np.flatnonzero(~b)
    times = np.zeros(len(b))
    times[outside] = np.linalg.solve(
        np.eye(len(outside)) - matrix[np.ix_(outside, outside)], np.ones(len(outside))
    )
    return float((weights * times)[a].sum() / weights[a].sum())


def asked(walks, a, b, **settings):
    """The rate between two sets of states."""
    return passage_rate(walks, [np.isin(w, a) for w in walks], [np.isin(w, b) for w in walks], **settings)


def swarms(matrix, cells, first, rounds, walkers, length, seed):
    """Walks of a chain, each swarm restarted from frames in the cells that have been seen least."""
    random, walks = np.random.default_rng(seed), []
    start = first.astype(float)
    for _ in range(rounds):
        walks += list(sampled_states(matrix, walkers, length, start, random))
        frames = np.concatenate(walks)
        seen = np.bincount(cells[frames])
        rarest = [cell for cell in np.argsort(seen, kind="stable") if seen[cell]][:walkers]
        start = np.zeros(len(matrix))
        start[[random.choice(frames[cells[frames] == cell]) for cell in rarest]] = 1
    return walks


def test_times_are_right_at_any_lag_wherever_walks_begin():
    """All 150 walks begin in the middle. At lag 20 most entries of the last state are followed by an exit."""
    weights = np.linalg.matrix_power(CHAIN, 4096)[0]
    exact = exact_time(CHAIN, weights, np.arange(5) == 0, np.arange(5) == 4)
    walks = list(sampled_states(CHAIN, 150, 60, np.eye(5)[2], np.random.default_rng(1)))
    for lag in (1, 20):
        found = asked(walks, [0], [4], lagtimes=(lag,), samples=20)
        assert abs(np.log(found.time / exact)) < 3 * found.log_error < 0.9
        assert found.shortcomings == (
            "one lag time alone has an answer: nobody can tell whether the states remember",
        )
    found = asked(walks, [0], [4], lagtimes=(10, 20), samples=20)
    assert not found.shortcomings
    assert f"{found.time:.3g} frames" in str(found)


def test_states_that_let_walks_through_a_barrier_are_refused():
    """One state of both sides of the barrier: the time at short lags is too short by far, and rises."""
    potential = Generator(PrinzPotential(), ((-1.2, 1.2),), 60)
    matrix, x = potential.transition_matrix(0.002), potential.points[0]
    fine = list(sampled_states(matrix, 60, 300, potential.stationary_distribution, np.random.default_rng(0)))
    coarse = [np.zeros(len(walk), int) for walk in fine]
    sets = [[mask[walk] for walk in fine] for mask in (x < -0.6, x > 0.6)]
    found = passage_rate(coarse, *sets, lagtimes=(1, 5, 20), samples=30)
    assert "the states remember" in str(found)


def test_sets_that_no_walk_joins_are_refused_with_the_reason():
    stays = [np.tile([0, 1], 20), np.tile([2, 3], 20)] * 10
    assert str(asked(stays, [0], [3], lagtimes=(1,))) == "no rate: no transitions join the sets"
    assert str(asked(stays, [0], [7], lagtimes=(1,))) == "no rate: no transitions join the sets"
    once = [np.array([0, 1, 0, 1, 2, 3, 2, 1, 0, 1]), *stays]
    assert "too few walks went there and back" in str(asked(once, [0], [3], lagtimes=(1, 2)))


def test_frames_and_sets_must_fit():
    walks = [np.array([0, 1, 2]), np.array([2, 1, 0])]
    with pytest.raises(ValueError, match="2 frames are in both sets"):
        asked(walks, [0], [0])
    with pytest.raises(ValueError, match="sets are given for 1 walks of 3 frames, states for 2 of 6"):
        passage_rate(walks, [walks[0] == 0], [walks[0] == 2])
    with pytest.raises(ValueError, match="got one walk"):
        asked(walks[:1], [0], [2])


@pytest.mark.long
@pytest.mark.parametrize("there", [True, False], ids=["A to B", "B to A"])
def test_errors_of_adaptive_campaigns_are_right(there):
    """Prinz's potential, 20 campaigns restarted by least counts: no bias beyond three errors, z of the right size."""
    generator = Generator(PrinzPotential(), ((-1.2, 1.2),), 120)
    matrix, x, dt = generator.transition_matrix(0.005), generator.points[0], 0.005
    a, b = (x < -0.6, x > 0.6) if there else (x > 0.6, x < -0.6)
    exact = dt * exact_time(matrix, generator.stationary_distribution, a, b)
    clusters = np.arange(120) * 20 // 120
    found = []
    for seed in range(20):
        walks = swarms(matrix, clusters, a, 12, 12, 60, seed)
        states, sets = [clusters[walk] for walk in walks], [[each[walk] for walk in walks] for each in (a, b)]
        found.append(passage_rate(DiscreteTrajectories(states, dt), *sets, lagtimes=(5, 10, 20), samples=30))
    given = [one for one in found if not one.shortcomings]
    assert len(given) >= 15
    off = np.array([np.log(one.time / exact) for one in given])
    errors = np.array([one.log_error for one in given])
    assert abs(off.mean()) < 3 * errors.mean() / np.sqrt(len(given))
    assert 0.6 < np.sqrt(np.mean((off / errors) ** 2)) < 1.35
