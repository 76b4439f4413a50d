"""What every classical energy must do, tried on each with a chain of eight atoms: forces are gradients, lists hold."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.potentials.cmap import correction_maps
from thalweg.potentials.energy import Energy, Sum, energy_and_forces
from thalweg.potentials.expressions import Expression
from thalweg.potentials.harmonic import harmonic_angles, harmonic_bonds
from thalweg.potentials.nonbonded import Cutoff, dispersion_correction, nonbonded
from thalweg.potentials.obc import obc2
from thalweg.potentials.restraints import OfEnergies, OnPoints, OnPositions
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
    "compound bonds": OnPoints(
        "k*(distance(p1, p2) - angle(p1, p2, p3))^2", "p", None, np.array([[0, 4], [1, 2], [6, 7]]), {"k": 50.0}
    ),
    "funnel": OfEnergies(
        Expression("log(1 + a^2/(1 + b^2))"),
        {
            "a": harmonic_bonds(BONDED, np.full(4, 0.2), np.full(4, 3e2)),
            "b": Sum(nonbonded(PARTICLES, (BONDED, NOTHING, NOTHING, NOTHING), Cutoff(0.5, 78.5, 0.35))),
        },
        {},
    ),
    "walls": OnPositions("k*(x^2 + 0.5*y^4 + z)", np.array([0, 3, 5]), {"k": np.array([30.0, 20.0, 10.0])}),
    "tail": dispersion_correction(PARTICLES, Cutoff(0.5, 78.5, 0.35)),
}  # fmt: skip
"""Examples of the energies, of one kind of term each."""

BOX = np.diag([2.0, 2.5, 3.0])
evaluate = eqx.filter_jit(energy_and_forces)
energies = pytest.mark.parametrize("energy", ENERGIES.values(), ids=ENERGIES.keys())


def rotation():
    axes, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return axes * np.sign(np.linalg.det(axes))


@energies
def test_force_is_minus_the_gradient_by_finite_differences(energy):
    with jax.enable_x64(True):
        positions, box = jnp.asarray(CHAIN), jnp.asarray(BOX)
        _, forces = evaluate(energy, positions, box)
        directions = RNG.normal(size=(8, 3, 6))
        along = jnp.stack(
            [positions + sign * 1e-6 * directions[..., k] for k in range(6) for sign in (1, -1)], -1
        )
        up_and_down = eqx.filter_jit(energy)(along, box).reshape(6, 2)
        expected = -np.einsum("ad,adk->k", forces, directions)
        np.testing.assert_allclose(
            (up_and_down[:, 0] - up_and_down[:, 1]) / 2e-6, expected, rtol=1e-5, atol=1e-5
        )


@energies
def test_energy_is_unchanged_and_forces_turn_when_all_atoms_rotate_and_shift(energy):
    if energy is ENERGIES["walls"]:
        pytest.skip("sees where the world is")
    with jax.enable_x64(True):
        turned = CHAIN @ rotation().T + np.array([3.0, -1.0, 2.0])
        before, forces = evaluate(energy, jnp.asarray(CHAIN), jnp.asarray(BOX))
        after, turned_forces = evaluate(energy, jnp.asarray(turned), jnp.asarray(BOX))
        assert float(after) == pytest.approx(float(before), rel=1e-10)
        np.testing.assert_allclose(
            turned_forces, forces @ rotation().T, atol=1e-9 * np.abs(forces).max() + 1e-9
        )
        np.testing.assert_allclose(forces.sum(0), 0, atol=1e-9 * np.abs(forces).max())


@energies
def test_every_replica_has_an_energy_and_forces_of_its_own_in_its_precision(energy):
    many = jnp.asarray(CHAIN[..., None] + 0.01 * RNG.normal(size=(8, 3, 3)), jnp.float32)
    together, forces = evaluate(energy, many, jnp.asarray(BOX, jnp.float32))
    assert (together.shape, forces.shape) == ((3,), (8, 3, 3))
    assert together.dtype == forces.dtype == jnp.float32
    one, one_forces = evaluate(energy, many[..., 1], jnp.asarray(BOX, jnp.float32))
    assert one.shape == ()
    np.testing.assert_allclose(together[1], one, rtol=2e-5)
    np.testing.assert_allclose(forces[..., 1], one_forces, atol=2e-5 * np.abs(one_forces).max() + 1e-9)


@energies
def test_refreshed_where_atoms_are_it_is_fresh_and_the_same(energy):
    positions, box = jnp.asarray(CHAIN, jnp.float32), jnp.asarray(BOX, jnp.float32)
    fresh = energy.refreshed(positions, box)
    assert not fresh.stale(positions, box)
    np.testing.assert_allclose(fresh(positions, box), energy(positions, box), rtol=1e-5)


class Listed(Energy):
    """An energy with a list that is stale until it is refreshed."""

    fresh: bool = False

    def __call__(self, positions, box=None):
        return (positions**2).sum((0, 1))

    def refreshed(self, positions, box=None):
        return Listed(True)

    def stale(self, positions, box=None):
        return not self.fresh


@pytest.mark.parametrize(
    "wrapped", [Sum((Listed(),)), OfEnergies(Expression("2*a"), {"a": Listed()}, {})], ids=["sum", "formula"]
)
def test_what_holds_an_energy_is_stale_as_that_one_is(wrapped):
    assert wrapped.stale(jnp.asarray(CHAIN))
    assert not wrapped.refreshed(jnp.asarray(CHAIN)).stale(jnp.asarray(CHAIN))


def test_every_energy_has_an_example_here(public):
    def kinds(energy):
        leaves = jax.tree.leaves(energy, is_leaf=lambda one: one is not energy and isinstance(one, Energy))
        inner = [one for one in leaves if isinstance(one, Energy)]
        return {type(energy).__name__}.union(*map(kinds, inner))

    found = {name for name in public(Energy, "potentials")}
    assert found <= set().union(*map(kinds, ENERGIES.values()))


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
