"""State predictive information bottleneck: as many states as wells that outlive the lag, and a coordinate in which they
lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.neural.spib import SPIB
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import QuadrupleWell, TripleWell2D
from thalweg.time_series.trajectories import Trajectories

QUICK = {"hidden": (16,), "steps": 200, "restarts": 1, "batch": 1024}


@pytest.fixture(scope="module")
def wells():
    """Four wells: both coordinates relax within 52 frames."""
    known = Generator(QuadrupleWell(), ((-1.8, 1.8), (-1.8, 1.8)), (24, 24), kT=0.3)
    return Trajectories(known.sample(n_trajectories=10, n_frames=2000, lag=0.1, seed=0), dt=0.1)


def wells_of(frames):
    """Number of the well by the signs of both coordinates."""
    return 2 * (frames[:, 0] > 0) + (frames[:, 1] > 0)


def agreement(found, expected):
    """Share of frames in the well that most frames of their state are in."""
    both = np.zeros((found.max() + 1, expected.max() + 1))
    np.add.at(both, (found, expected), 1)
    return both.max(axis=1).sum() / len(found)


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.long) for k in (1, 2))])
def test_states_are_the_four_wells_whatever_number_of_cells_one_begins_with(wells, seed):
    model = SPIB(lagtime=10, dim=2, states=8 + 2 * seed, seed=seed, **QUICK).fit(wells)
    frames = wells.strided(4000)
    assert model.n_states == 4
    assert agreement(model.states(frames), wells_of(frames)) > 0.95
    assert model.transform(frames).shape == (4000, 2)
    np.testing.assert_allclose(model.chances(frames).sum(axis=1), 1, atol=1e-6)
    assert model.changed[-1] <= 0.01
    assert not [note for note in model.notes if "round" in note]


@pytest.mark.long
def test_frames_without_weight_do_not_make_states(wells):
    """Walks in a fifth place that carry no weight leave the four."""
    away = [3.0 + 0.1 * np.random.default_rng(k).standard_normal((2000, 2)) for k in range(2)]
    weights = [np.ones(2000)] * 10 + [np.zeros(2000)] * 2
    data = Trajectories([*wells.blocks, *away], dt=0.1, weights=weights)
    model = SPIB(lagtime=10, dim=2, states=10, **QUICK).fit(data)
    frames = wells.strided(4000)
    assert len(np.unique(model.states(frames))) == 4
    assert agreement(model.states(frames), wells_of(frames)) > 0.95


def test_too_few_cells_or_frames_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match="states=1, rounds=10; give two cells"):
        SPIB(1, states=1)
    with pytest.raises(ValueError, match="2 different frames make no 10 cells"):
        SPIB(1).fit(np.tile([[0.0], [1.0]], (50, 1)))


@pytest.mark.long
def test_a_well_that_is_left_within_the_lag_is_no_state():
    """Of the three wells the shallow one has a life of some frames; two are left at a lag of many."""
    known = Generator(TripleWell2D(), ((-2.0, 2.0), (-1.5, 2.5)), (24, 24), kT=0.59, diffusion=0.59)
    runs = Trajectories(known.sample(n_trajectories=10, n_frames=5000, lag=0.1, seed=0))
    times = known.timescales(2) / 0.1
    assert times[1] < 0.2 * times[0]
    short, long = (SPIB(lagtime=lag, dim=1, **QUICK).fit(runs) for lag in (1, int(2 * times[1])))
    assert long.n_states == 2
    assert short.n_states >= 3


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_one_value_is_the_slow_eigenfunction_of_a_known_surface(seed):
    """Two wells that stay apart on Müller-Brown / 15: the slowest eigenfunction is a step between them, and so is z."""
    known = Generator(MullerBrown(15.0), ((-1.6, 1.2), (-0.5, 2.1)), (26, 24), kT=1.0)
    runs = Trajectories(known.sample(n_trajectories=20, n_frames=2000, lag=0.01, seed=seed))
    model = SPIB(lagtime=20, dim=1, seed=seed, **QUICK).fit(runs)
    frames = runs.strided(4000)
    slow = known.interpolated(known.eigenfunctions(2)[1], frames)
    states = model.states(frames)
    assert 2 <= model.n_states <= 3
    z = model.transform(frames)[:, 0]
    # ranks do not mind how far apart states are put; the mean of each state is told by its number
    means = np.array([slow[states == k].mean() for k in range(model.n_states)])
    assert abs(np.corrcoef(means[states], slow)[0, 1]) > 0.95
    assert abs(np.corrcoef(z, slow)[0, 1]) > 0.85
