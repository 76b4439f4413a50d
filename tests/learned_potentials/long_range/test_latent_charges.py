"""Latent charges learn what no local model can: ions beyond the cutoff, in the open and in a cell."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learned_potentials.linear.learner import Linear
from thalweg.learned_potentials.long_range.coulomb import DistantCharges, coulomb_energy, fields
from thalweg.learned_potentials.long_range.environment_charges import EnvironmentCharges
from thalweg.learned_potentials.long_range.latent_charges import LatentCharges
from thalweg.learned_potentials.long_range.point_charges import point_charges
from thalweg.learned_potentials.long_range.variable_projection import Expected
from thalweg.learned_potentials.long_range.whole_frames import whole_frame
from thalweg.potentials.electrostatics.multipoles import Multipoles
from thalweg.potentials.electrostatics.particle_mesh import mesh_size
from thalweg.representations.symmetry_functions import SymmetryFunctions
from thalweg.systems.configuration import Configuration
from thalweg.units import COULOMB

SIGHT = SymmetryFunctions(0.3, radial=((60.0, 0.1),), narrow=(), wide=())
IONS = point_charges({11: 0.5, 17: -0.5})


def labeled(points, numbers, box=None):
    one = Configuration(np.asarray(numbers), np.asarray(points), box, (box is not None,) * 3)
    label = IONS.evaluate([one])
    return replace(one, energy=float(label.energies[0]), forces=label.forces[0])


def pairs(distances, seed=0):
    """Two ions at distances, in random directions."""
    ways = np.random.default_rng(seed).normal(size=(len(distances), 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    return [labeled([[0, 0, 0], r * way], [11, 17]) for r, way in zip(distances, ways)]


def ions(charges, polarizabilities=(0.0, 0.0)):
    """A term whose charges are those of elements."""
    none = np.zeros((2, 2))
    return EnvironmentCharges(
        SIGHT.over((11, 17)), np.array(charges), none, none, none + 1, np.array(polarizabilities), 0.3
    )


def test_pairs_nearby_are_left_out_and_pairs_far_away_are_coulombs():
    kernel, r = DistantCharges(0.2, 0.5), np.array([0.1, 0.2, 0.33, 0.5, 0.9])
    with jax.enable_x64(True):
        values = [np.asarray(value) for value in kernel(jnp.asarray(r), r, r, 2)]
        slopes = [
            np.asarray(jax.vmap(jax.grad(lambda x, k=k: kernel(x, x, x, 2)[k]))(jnp.asarray(r)))
            for k in range(2)
        ]
    np.testing.assert_allclose(values[0][[0, 1, 3, 4]], [0, 0, 1 / 0.5, 1 / 0.9], atol=1e-12)
    for k in range(2):
        np.testing.assert_allclose(values[k + 1], -slopes[k] / r, atol=1e-9)


@pytest.mark.parametrize("how", ["open", "waves", "mesh"])
def test_a_charge_times_the_field_is_its_force(how):
    random, box = np.random.default_rng(0), np.array([[1.0, 0, 0], [0.1, 1.2, 0], [0, -0.1, 1.1]])
    cell = {} if how == "open" else {"box": box, "periodic": (True,) * 3}
    frame = Configuration(np.array([11, 17] * 3), random.uniform(size=(6, 3)), **cell)
    term = ions([0.5, -0.5])
    with jax.enable_x64(True):
        whole = whole_frame(term, frame)
        if how == "mesh":
            whole = replace(whole, waves=None, mesh=mesh_size(box, term.alpha, 1e-8))
        charges = random.normal(size=len(whole.kinds)) * np.asarray(whole.kinds >= 0)
        how = (term.alpha, term.pairs_within, term.kernel)
        field = np.asarray(fields(whole, jnp.asarray(charges), *how))

        def energy(points):
            return coulomb_energy(replace(whole, points=points), Multipoles(jnp.asarray(charges)), *how)

        force = -np.asarray(jax.grad(energy)(jnp.asarray(whole.points)))
    np.testing.assert_allclose(charges * field, force, atol=1e-4 * np.abs(force).max())


def test_far_from_an_ion_an_atom_has_the_energy_of_its_polarizability():
    r, volume = 0.8, 2e-3
    frame = Configuration(np.array([11, 17]), np.array([[0, 0, 0], [r, 0, 0]]), info={"charge": 1.0})
    bare, soft = (ions([1.0, 0.0], (0.0, v)).evaluate([frame]).energies[0] for v in (0.0, volume))
    assert soft - bare == pytest.approx(-0.5 * COULOMB * volume / r**4, rel=1e-6)


def test_rock_salt_in_a_cell_of_any_choice_has_its_energy_of_points_where_no_pair_is_near():
    box = 0.8 * (np.ones((3, 3)) - np.eye(3))
    salt = Configuration(np.array([11, 17]), np.array([[0, 0, 0], [0.8, 0, 0]]), box, (True,) * 3)
    energy = ions([1.0, -1.0]).evaluate([salt]).energies[0]
    assert energy == pytest.approx(-1.7475645946331822 * COULOMB / 0.8, rel=1e-5)


def test_an_ion_in_the_open_has_its_charge_whether_its_frame_says_so_or_not():
    pair = Configuration(np.array([11, 11]), np.array([[0, 0, 0], [0.9, 0, 0]]))
    term = ions([0.999, -1.0])
    said = term.evaluate([pair, replace(pair, info={"charge": 2.0})])
    assert said.energies[0] == said.energies[1] == pytest.approx(COULOMB / 0.9, rel=1e-9)
    bound = term.bind(pair.numbers)
    assert float(bound(pair.positions)) == pytest.approx(said.energies[0], rel=1e-5)


def test_what_is_drawn_meets_what_is_known():
    rows, values = np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 0.0]]) * 1e3, np.array([1.0, 1.0]) * 1e3
    known = Expected(np.zeros(3), np.ones(3), np.full(3, -np.inf), rows, values)
    drawn = known.drawn(np.random.default_rng(0))
    np.testing.assert_allclose(rows @ drawn, values, rtol=1e-9)


@pytest.mark.long
def test_ions_beyond_the_cutoff_are_learned_and_their_tail_is_coulombs():
    learner = LatentCharges(Linear(SIGHT), SIGHT, starts=2)
    term = learner.fit(pairs(np.concatenate([[0.25, 0.27], np.linspace(0.4, 0.9, 16)])), seed=1).term
    asked = pairs(np.array([1.2, 1.5, 3.0]), seed=2)
    truth = np.array([one.energy for one in asked])
    np.testing.assert_allclose(term.evaluate(asked).energies, truth, rtol=1e-3)
    with jax.enable_x64(True):
        latent = term.terms[0]
        charges = np.asarray(eqx.filter_jit(latent.charges)(whole_frame(latent, asked[0])))[:2]
    assert charges.sum() == pytest.approx(0, abs=1e-9)
    assert abs(charges[0]) == pytest.approx(0.5, rel=1e-3)


def test_frames_without_labels_are_refused():
    with pytest.raises(ValueError, match="nothing to learn"):
        LatentCharges(Linear(SIGHT)).fit([Configuration(np.array([11]), np.zeros((1, 3)))])
