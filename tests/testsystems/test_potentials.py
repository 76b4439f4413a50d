"""Model potentials: gradients, engines' call, and agreement with deeptime where it has the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.testsystems import wells
from thalweg.testsystems.muller_brown import MullerBrown, WithHarmonicDimensions
from thalweg.testsystems.stationary_points import stationary_points

POTENTIALS = [
    wells.HarmonicWell(2.0),
    wells.CosineWell(),
    wells.DoubleWell(5.0, 0.5),
    wells.PrinzPotential(),
    wells.TripleWell1D(),
    wells.TripleWell2D(),
    wells.QuadrupleWell(),
    wells.ObliqueDoubleWell(),
    MullerBrown(10.0),
    WithHarmonicDimensions(MullerBrown(20.0), dimensions=8, stiffness=2.0),
]
each_potential = pytest.mark.parametrize("potential", POTENTIALS, ids=lambda p: type(p).__name__)


def points_inside(potential, count):
    lower, upper = np.array(potential.domain).T
    return (lower + (upper - lower) * np.random.default_rng(0).uniform(0.2, 0.8, (count, potential.dims))).T


@each_potential
def test_complex_step_and_jax_give_one_gradient(potential):
    x = points_inside(potential, 5)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda y: potential.energy(y).sum())(jnp.asarray(x))
        np.testing.assert_allclose(potential.gradient(x), gradient, rtol=1e-9, atol=1e-9)


@each_potential
def test_a_potential_is_the_energy_of_one_particle_in_replicas(potential):
    x = points_inside(potential, 6).astype(np.float32)
    positions = jnp.asarray(x.reshape(1, potential.dims, 2, 3))
    energies = jax.jit(lambda y: potential(y))(positions)
    assert energies.shape == (2, 3)
    assert energies.dtype == jnp.float32
    np.testing.assert_allclose(energies.ravel(), potential.energy(x.astype(float)), rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "potential"),
    [
        ("prinz_potential", wells.PrinzPotential()),
        ("triple_well_1d", wells.TripleWell1D()),
        ("triple_well_2d", wells.TripleWell2D()),
        ("quadruple_well", wells.QuadrupleWell()),
    ],
)
def test_energies_equal_those_of_deeptime(name, potential):
    data = pytest.importorskip("deeptime.data")
    x = points_inside(potential, 50)
    theirs = np.asarray(getattr(data, name)().potential(x.T)).ravel()
    np.testing.assert_allclose(potential.energy(x), theirs, rtol=1e-10, atol=1e-10)


def test_harmonic_dimensions_add_their_energy():
    x = points_inside(POTENTIALS[-1], 4)
    expected = MullerBrown(20.0).energy(x[:2]) + (x[2:] ** 2).sum(axis=0)
    np.testing.assert_allclose(POTENTIALS[-1].energy(x), expected)


def test_a_potential_is_its_own_refreshed():
    assert POTENTIALS[0].refreshed(jnp.zeros((1, 1))) is POTENTIALS[0]


@pytest.mark.parametrize(
    ("potential", "wells_found"), [(wells.PrinzPotential(), 4), (wells.QuadrupleWell(), 4)]
)
def test_all_wells_are_found(potential, wells_found):
    points = stationary_points(potential)
    minima = points.of_order(0)
    assert len(minima.energies) == wells_found
    np.testing.assert_allclose(potential.gradient(minima.positions.T), 0.0, atol=1e-7)
