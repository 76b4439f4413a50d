"""Minimization ends where the force vanishes, keeps constraints, and says when it did not get there."""

import jax.numpy as jnp
import numpy as np

from thalweg.dynamics.minimize import minimized
from thalweg.potentials.energy import energy_and_forces
from thalweg.systems.system import Constraints
from thalweg.testsystems.muller_brown import MullerBrown


def test_it_finds_the_minimum_of_muller_and_brown():
    found = minimized(MullerBrown(), np.array([[-0.5, 1.2]]), tolerance=0.1)
    np.testing.assert_allclose(found.positions, [[-0.5582, 1.4417]], atol=1e-3)
    assert found.converged
    assert abs(found.energy / MullerBrown().energy(np.array([-0.5582, 1.4417])) - 1) < 1e-5


def test_the_largest_force_is_the_one_left():
    found = minimized(MullerBrown(), np.array([[-0.5, 1.2]]), iterations=2, tolerance=0.1)
    assert not found.converged
    _, forces = energy_and_forces(MullerBrown(), jnp.asarray(found.positions, jnp.float32))
    np.testing.assert_allclose(found.largest_force, np.abs(forces).max(), rtol=1e-3)


def test_constrained_distances_stay():
    class Tension:
        def __call__(self, positions, box=None):
            return 50.0 * (positions[0] - positions[1]).sum(0) + 200.0 * (positions**2).sum((0, 1))

        def refreshed(self, positions, box=None):
            return self

    pair = Constraints(np.array([[0, 1]]), np.array([0.3]))
    found = minimized(
        Tension(), np.array([[0.3, 0.0, 0.0], [0.0, 0.0, 0.1]]), constraints=pair, tolerance=1.0
    )
    assert found.converged
    assert abs(np.linalg.norm(found.positions[0] - found.positions[1]) - 0.3) < 1e-3
