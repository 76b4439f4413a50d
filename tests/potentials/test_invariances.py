"""What every classical energy must obey: forces are gradients, rotations and translations change nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.potentials.cmap import correction_maps
from thalweg.potentials.energy import Sum, energy_and_forces
from thalweg.potentials.harmonic import harmonic_angles, harmonic_bonds
from thalweg.potentials.nonbonded import Cutoff, nonbonded
from thalweg.potentials.obc import obc2
from thalweg.potentials.torsions import periodic_torsions

RNG = np.random.default_rng(0)
CHAIN = np.cumsum(
    np.array([[0.12, 0.05, 0.0], [0.03, 0.1, 0.09], [0.1, -0.06, 0.05], [-0.02, 0.08, 0.11]] * 2), 0
)
ONES = np.ones(len(CHAIN))
PARTICLES = np.stack([0.4 * RNG.normal(size=8), 0.25 * ONES, 0.5 * ONES], 1)
BONDED = np.array([[0, 1], [1, 2], [2, 3], [4, 5]])
NOTHING = np.zeros(4)

ENERGIES = {
    "bonds": harmonic_bonds(BONDED, np.array([0.1, 0.15, 0.12, 0.1]), np.full(4, 3e4)),
    "angles": harmonic_angles(np.array([[0, 1, 2], [3, 2, 5]]), np.array([1.9, 2.1]), np.array([400.0, 300.0])),
    "torsions": periodic_torsions(
        np.array([[0, 1, 2, 3], [3, 2, 1, 0], [4, 5, 6, 7]]),
        np.array([3, 2, 1]), np.array([0.0, np.pi, 0.7]), np.array([5.0, 5.0, 2.0]),
    ),
    "maps": Sum(
        correction_maps(np.array([[0, 1, 2, 3]]), np.array([[1, 2, 3, 4]]), np.array([0]), [RNG.normal(size=(6, 6))])
    ),
    "nonbonded": Sum(nonbonded(PARTICLES, (BONDED, 0.1 + NOTHING, 0.2 + NOTHING, 0.3 + NOTHING))),
    "cutoff": Sum(nonbonded(PARTICLES, (BONDED, NOTHING, NOTHING, NOTHING), Cutoff(0.5, 78.5, 0.35))),
    "solvent": obc2(PARTICLES[:, 0], 0.16 * ONES, 0.8 * ONES, surface=28.4),
}  # fmt: skip
evaluate = eqx.filter_jit(energy_and_forces)
energies = pytest.mark.parametrize("energy", ENERGIES.values(), ids=ENERGIES.keys())


def rotation():
    axes, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return axes * np.sign(np.linalg.det(axes))


@energies
def test_force_is_minus_the_gradient_by_finite_differences(energy):
    with jax.enable_x64(True):
        positions = jnp.asarray(CHAIN)
        _, forces = evaluate(energy, positions)
        directions = RNG.normal(size=(8, 3, 6))
        along = jnp.stack(
            [positions + sign * 1e-6 * directions[..., k] for k in range(6) for sign in (1, -1)], -1
        )
        up_and_down = eqx.filter_jit(energy)(along).reshape(6, 2)
        expected = -np.einsum("ad,adk->k", forces, directions)
        np.testing.assert_allclose(
            (up_and_down[:, 0] - up_and_down[:, 1]) / 2e-6, expected, rtol=1e-5, atol=1e-5
        )


@energies
def test_energy_is_unchanged_and_forces_turn_when_all_atoms_rotate_and_shift(energy):
    with jax.enable_x64(True):
        turned = CHAIN @ rotation().T + np.array([3.0, -1.0, 2.0])
        before, forces = evaluate(energy, jnp.asarray(CHAIN))
        after, turned_forces = evaluate(energy, jnp.asarray(turned))
        assert float(after) == pytest.approx(float(before), rel=1e-10)
        np.testing.assert_allclose(
            turned_forces, forces @ rotation().T, atol=1e-9 * np.abs(forces).max() + 1e-9
        )
        np.testing.assert_allclose(forces.sum(0), 0, atol=1e-9 * np.abs(forces).max())


def test_replicas_do_not_see_each_other():
    everything = Sum(tuple(ENERGIES[name] for name in ("angles", "torsions", "cutoff", "solvent")))
    many = jnp.asarray(CHAIN[..., None] + 0.01 * RNG.normal(size=(8, 3, 3)), jnp.float32)
    energies, forces = evaluate(everything, many)
    one, one_forces = evaluate(everything, many[..., 1])
    assert float(energies[1]) == pytest.approx(float(one), rel=1e-5)
    np.testing.assert_allclose(forces[..., 1], one_forces, atol=2e-5 * np.abs(one_forces).max())


def test_energies_add():
    bonds, angles, torsions = (ENERGIES[name] for name in ("bonds", "angles", "torsions"))
    together = (bonds + angles) + torsions
    assert len(together.terms) == 3
    assert float(together(CHAIN)) == pytest.approx(
        float(bonds(CHAIN) + angles(CHAIN) + torsions(CHAIN)), rel=1e-6
    )


@pytest.mark.parametrize("name", ["torsions", "solvent"])
def test_second_derivatives_exist_in_both_modes_and_agree_with_differences_of_forces(name):
    energy = ENERGIES[name]
    with jax.enable_x64(True):
        x, v = jnp.asarray(CHAIN), jnp.asarray(RNG.normal(size=CHAIN.shape))
        gradient = jax.jit(jax.grad(lambda y: energy(y)))
        forward = jax.jit(lambda: jax.jvp(gradient, (x,), (v,))[1])()
        backward = jax.jit(jax.grad(lambda y: (gradient(y) * v).sum()))(x)
        difference = (gradient(x + 1e-6 * v) - gradient(x - 1e-6 * v)) / 2e-6
        np.testing.assert_allclose(forward, backward, rtol=1e-8, atol=1e-8 * np.abs(forward).max())
        np.testing.assert_allclose(forward, difference, atol=1e-5 * np.abs(forward).max())


def test_parameters_can_be_fitted_derivatives_included():
    bonds = ENERGIES["bonds"]
    with jax.enable_x64(True):

        def misfit(stiffness):
            energy = eqx.tree_at(lambda e: e.potential.stiffness, bonds, stiffness)
            return energy(CHAIN) + 1e-3 * (jax.grad(lambda x: energy(x))(jnp.asarray(CHAIN)) ** 2).sum()

        stiffness = jnp.full(4, 3e4)
        slope = jax.grad(misfit)(stiffness)
        step = jnp.array([0.0, 1.0, 0.0, 0.0])
        difference = (misfit(stiffness + step) - misfit(stiffness - step)) / 2
        assert float(slope[1]) == pytest.approx(float(difference), rel=1e-6)
