"""The Coulomb-field integral and its closed-form derivative; Born's ion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from thalweg.potentials.energy import energy_and_forces
from thalweg.potentials.obc import coulomb_field_integral, obc2
from thalweg.units import COULOMB

CASES = [(0.35, 0.11, 0.12), (0.15, 0.14, 0.12), (0.1, 0.11, 0.12), (0.06, 0.05, 0.12), (0.05, 0.2, 0.1)]
"""Apart, touching, overlapping, engulfed, hidden inside the atom."""


@pytest.mark.parametrize(("r", "offset_radius", "sphere"), CASES)
def test_the_integral_is_the_coulomb_field_over_the_sphere_outside_the_atom(r, offset_radius, sphere):
    def shell(s):
        """s^-4 / 4 pi times the area of the shell of radius s that lies in the sphere."""
        cosine = np.clip((s * s + r * r - sphere * sphere) / (2 * s * r), -1, 1)
        return (1 - cosine) / (2 * s * s)

    first, last = max(offset_radius, abs(r - sphere)), r + sphere
    expected = quad(shell, first, last)[0] if last > first else 0.0
    with jax.enable_x64(True):
        ours = float(coulomb_field_integral(jnp.array(r), offset_radius, sphere))
    assert ours == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("r", "offset_radius", "sphere"), CASES)
def test_its_closed_form_derivatives_are_those_of_finite_differences(r, offset_radius, sphere):
    with jax.enable_x64(True):

        def h(r):
            return coulomb_field_integral(r, offset_radius, sphere)

        x, step = jnp.array(r), 1e-6
        slope = jax.grad(h)
        assert float(slope(x)) == pytest.approx(
            float((h(x + step) - h(x - step)) / (2 * step)), rel=1e-6, abs=1e-9
        )
        second = float((slope(x + step) - slope(x - step)) / (2 * step))
        assert float(jax.grad(slope)(x)) == pytest.approx(second, rel=1e-6, abs=1e-9)


def test_a_lone_ion_has_the_energy_of_born():
    radius = 0.159
    ion = obc2(np.array([1.0]), np.array([radius]), np.array([0.8]), solvent=80.0)
    energy, forces = energy_and_forces(ion, jnp.zeros((1, 3)))
    born = -0.5 * COULOMB * (1 - 1 / 80.0) / (radius - 0.009)
    assert float(energy) == pytest.approx(born, rel=1e-6)
    np.testing.assert_array_equal(forces, 0)
