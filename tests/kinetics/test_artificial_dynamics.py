"""The walk of a diffusion map as a Markov model: time scales, committors and passage times of diffusion."""

import numpy as np
import pytest

from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.kinetics.artificial_dynamics import artificial_dynamics
from thalweg.kinetics.known_chain import known_chain
from thalweg.kinetics.reactions.committor import committor
from thalweg.kinetics.reactions.passage_times import first_passage_times
from thalweg.testsystems.generator import Generator
from thalweg.testsystems.wells import DoubleWell
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def well():
    return Generator(DoubleWell(barrier=3.0), ((-1.9, 1.9),), 400)


@pytest.fixture(scope="module")
def hot_frames(well):
    """Frames of twice the temperature, with the weights that undo it."""
    hot = Generator(DoubleWell(barrier=3.0), ((-1.9, 1.9),), 400, kT=2.0)
    rng = np.random.default_rng(0)
    cells = rng.choice(hot.size, 1500, p=hot.stationary_distribution)
    x = hot.points.T[cells] + hot.grid.spacing * (rng.random((1500, 1)) - 0.5)
    energy = well.potential.energy(x.T)
    return Trajectories([x], weights=[np.exp(-(energy - energy.min()) / 2)])


@pytest.fixture(scope="module")
def chain(hot_frames):
    model = DiffusionMap(dim=2, diffusion=1.0).fit(hot_frames)
    return model, artificial_dynamics(model)


def test_the_chain_has_the_time_scales_of_diffusion(well, chain):
    model, markov = chain
    assert markov.timescales[0] == pytest.approx(model.timescales[0], rel=0.01)
    assert markov.timescales[0] == pytest.approx(well.timescales(1)[0], rel=0.2)


def test_its_populations_are_the_weights(chain):
    model, markov = chain
    np.testing.assert_allclose(markov.stationary_distribution, model.weights, rtol=1e-9)


def test_its_committor_is_that_of_diffusion(well, chain):
    model, markov = chain
    x = model.points[:, 0]
    q = committor(markov, np.flatnonzero(x < -0.9), np.flatnonzero(x > 0.9))
    exact = well.interpolated(well.committor(lambda y: y[0] < -0.9, lambda y: y[0] > 0.9), model.points)
    between = np.abs(x) < 0.9
    assert np.sqrt(np.mean((q - exact)[between] ** 2)) < 0.05


def test_its_passage_times_are_those_of_diffusion(well, chain):
    model, markov = chain
    x = model.points[:, 0]
    times = first_passage_times(markov, np.flatnonzero(x > 0.9))
    left = np.abs(x + 1) < 0.05
    exact = well.interpolated(well.mean_first_passage_time(lambda y: y[0] > 0.9), model.points[left])
    assert times[left].mean() == pytest.approx(exact.mean(), rel=0.25)


def test_populations_that_a_matrix_changes_are_refused():
    with pytest.raises(ValueError, match="one step changes the populations given"):
        known_chain(np.array([[0.9, 0.1], [0.3, 0.7]]), populations=np.array([0.5, 0.5]))
