"""Transition paths: how long they last and where they dwell is that of the exact chain, whichever way one shoots."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.kinetics.reactions.regions import IN_B, Intervals
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.paths.transition_path_sampling import TransitionPathSampling
from thalweg.testsystems.chain import chain_committor, chain_stationary_distribution
from thalweg.testsystems.euler_chain import EulerChain
from thalweg.testsystems.wells import DoubleWell

A, B = Intervals((-np.inf,), (-0.8,)), Intervals((0.8,), (np.inf,))
WELL, DT = DoubleWell(3.0), 0.01
EDGES = np.array([-0.8, -0.5, -0.2, 0.2, 0.5, 0.8])


def line():
    engine = NativeEngine.for_potential(WELL, np.ones(1), Overdamped(kT=1.0, dt=DT))
    return Apparatus(engine, Coordinates([0], dims=1), np.zeros((1, 1)), np.ones(1), kT=1.0)


def exact():
    """Mean number of frames between the sets on a path of the Euler chain, and their shares of bins of x."""
    chain = EulerChain(WELL, ((-2.0, 2.0),), 400, dt=DT)
    matrix, x = chain.transition_matrix(), np.ravel(chain.points)
    q = chain_committor(matrix, x < -0.8, x > 0.8)
    pi = chain_stationary_distribution(matrix)
    density, flux = pi * q * (1 - q), (pi[x < -0.8] @ matrix[x < -0.8]) @ q
    shares = np.histogram(x, EDGES, weights=density)[0] / density.sum()
    return density.sum() / flux, shares, (x, q)


@pytest.mark.long
@pytest.mark.parametrize("shooting", ["two-way", "aimless"])
def test_paths_last_and_dwell_as_those_of_the_exact_chain(shooting):
    frames, shares, (x, q) = exact()
    method = TransitionPathSampling(
        A, B, chains=64, moves=24, shooting=shooting, offset=4, longest=20.0, save_every=DT, seed=1
    )
    found = method.sample(line())
    mean, error = found.mean_duration
    assert error < 0.06 * mean
    assert abs(mean - DT * frames) < 3.5 * error
    # shares of all frames between the sets, as ratios of two means over paths
    counts = [np.histogram(path[1:-1, 0], EDGES)[0] for path in found.features]
    of_bins, errors = found.average(counts)
    np.testing.assert_array_less(np.abs(of_bins / (mean / DT) - shares), 4 * errors / (mean / DT) + 1e-9)
    # shots know the committor
    middle = np.abs(found.shots.features[:, 0]) < 0.1
    hits = found.shots.outcomes[middle] == IN_B
    expected = np.interp(found.shots.features[middle, 0], x, q)
    spread = np.sqrt((expected * (1 - expected)).mean() / hits.size)
    assert abs(hits.mean() - expected.mean()) < 4 * spread


@pytest.mark.long
def test_a_walk_goes_on_from_its_last_paths_and_tells_what_is_cut_off():
    short = TransitionPathSampling(A, B, chains=4, moves=5, longest=0.3, save_every=DT)
    found = short.sample(line())
    assert "did not end within longest = 0.3 ps: long paths are missing" in str(found)
    again = short.sample(line(), found)
    assert all(len(path) >= 3 for path in again.frames)
    with pytest.raises(ValueError, match="4 paths for 8 chains"):
        TransitionPathSampling(A, B, chains=8, moves=5, longest=0.3, save_every=DT).sample(line(), found)


def test_nothing_is_sampled_where_no_trajectory_joins_the_sets():
    with pytest.raises(
        ValueError, match=r"none of 80 pairs of trajectories from 1 frames joined A and B within 0.02 ps"
    ):
        TransitionPathSampling(A, B, chains=4, moves=5, longest=0.02, save_every=DT).sample(line())
    with pytest.raises(ValueError, match="skip = 5 leaves nothing of moves = 5"):
        TransitionPathSampling(A, B, moves=5, skip=5)
