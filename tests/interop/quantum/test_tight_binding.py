from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.interop.quantum.tight_binding import TightBinding
from thalweg.learned_potentials.terms.term import Term
from thalweg.potentials.energy import energy_and_forces
from thalweg.systems.configuration import Configuration
from thalweg.units import BOHR, ELECTRONVOLT

pytest.importorskip("tblite")

WATER = np.array([[0.0, 0.0, 0.0], [0.0757, 0.0586, 0.0], [-0.0757, 0.0586, 0.0]])
NUMBERS = np.array([8, 1, 1])


def moved(seed=0):
    return Configuration(NUMBERS, WATER + 0.005 * np.random.default_rng(seed).normal(size=(3, 3)))


def test_water_has_the_energy_of_gfn2_xtb():
    energy = TightBinding().evaluate([Configuration(NUMBERS, WATER)]).energies[0]
    assert energy / 2625.49964 == pytest.approx(-5.0705, abs=2e-3)  # xtb's water near its minimum [hartree]


def test_forces_are_minus_the_gradient():
    frame, step = moved(), 1e-4
    labels = TightBinding(accuracy=0.01).evaluate([frame])
    shift = np.zeros((3, 3))
    shift[1, 0] = step
    ends = [Configuration(NUMBERS, frame.positions + sign * shift) for sign in (1, -1)]
    up, down = TightBinding(accuracy=0.01).evaluate(ends).energies
    assert labels.forces[0][1, 0] == pytest.approx(-(up - down) / (2 * step), rel=1e-4)


def test_stress_is_the_derivative_by_strain():
    term = TightBinding("GFN1-xTB", accuracy=0.01)
    box, strain = np.eye(3) * 0.6, 1e-4
    labels = term.evaluate([Configuration(NUMBERS, moved().positions, box, (True,) * 3)])
    energies = []
    for sign in (1, -1):
        deformed = np.eye(3)
        deformed[0, 0] += sign * strain
        frame = Configuration(NUMBERS, moved().positions @ deformed, box @ deformed, (True,) * 3)
        energies.append(term.evaluate([frame]).energies[0])
    assert labels.stresses[0][0, 0] * 0.6**3 == pytest.approx(
        (energies[0] - energies[1]) / (2 * strain), rel=1e-2
    )


def test_the_bound_energy_of_replicas_is_that_of_frames_one_by_one():
    frames = [moved(1), moved(2)]
    labels = TightBinding().evaluate(frames)
    positions = np.stack([frame.positions for frame in frames], -1)
    assert isinstance(TightBinding(), Term)
    with jax.enable_x64(True):
        energy = TightBinding().bind(NUMBERS)
        energies, forces = eqx.filter_jit(energy_and_forces)(energy, jnp.asarray(positions))
    np.testing.assert_allclose(energies, labels.energies, rtol=1e-9)
    np.testing.assert_allclose(forces, np.stack(labels.forces, -1), atol=1e-2)


def test_a_polarizability_is_minus_the_curvature_of_the_energy_in_a_field():
    from tblite import library

    level = TightBinding(accuracy=0.01, properties=("polarizability", "gap", "ionization_energy"))
    found = level.label(Configuration(NUMBERS, WATER)).properties
    energies = []
    for strength in (-2e-3, 0.0, 2e-3):
        field = strength * np.array([1.0, 0.0, 0.0])
        calculator = level.calculator(NUMBERS, WATER)
        calculator.add("electric-field", library.ffi.cast("double*", field.ctypes.data))
        energies.append(float(calculator.singlepoint().get("energy")))
    curvature = -(energies[0] - 2 * energies[1] + energies[2]) / 2e-3**2
    tensor = found["polarizability"] / BOHR**3
    assert tensor[0, 0] == pytest.approx(curvature, rel=1e-3)
    np.testing.assert_allclose(tensor, np.diag(np.diag(tensor)), atol=1e-3 * curvature, rtol=0)
    assert found["gap"] > 0
    # measured: 12.62 eV
    assert found["ionization_energy"] / ELECTRONVOLT == pytest.approx(12.62, abs=1.0)


def test_a_property_that_tight_binding_lacks_is_refused():
    with pytest.raises(ValueError, match="shieldings"):
        TightBinding(properties=("shieldings",))
