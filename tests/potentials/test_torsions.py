"""Torsions as polynomials are the Fourier series they stand for."""

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.geometry.internal import dihedrals
from thalweg.potentials.cmap import bicubic_coefficients, correction_maps
from thalweg.potentials.torsions import periodic_torsions, ryckaert_bellemans_torsions

QUAD = np.array([[0, 1, 2, 3]])


def turned(phi):
    """Four atoms, (4, 3, angles), with dihedral ``phi``."""
    zero = np.zeros_like(phi)
    first = np.stack([zero + 0.1, zero, zero - 0.05])
    last = np.stack([0.1 * np.cos(phi), 0.1 * np.sin(phi), zero + 0.2])
    return jnp.asarray(np.stack([first, np.stack([zero] * 3), np.stack([zero, zero, zero + 0.15]), last]))


PHI = np.linspace(-np.pi, np.pi, 73)


def test_a_fourier_series_with_any_phase_and_multiplicity():
    multiplicity, phase, barrier = (
        np.arange(7),
        np.array([0, 0.4, np.pi, -1.0, 0, 2.0, np.pi]),
        np.linspace(1, 5, 7),
    )
    with jax.enable_x64(True):
        x = turned(PHI)
        angle = dihedrals(x, QUAD)[0]
        expected = sum(k * (1 + np.cos(n * angle - d)) for n, d, k in zip(multiplicity, phase, barrier))
        ours = periodic_torsions(np.repeat(QUAD, 7, 0), multiplicity, phase, barrier)(x)
    np.testing.assert_allclose(ours, expected, atol=1e-10)


def test_series_on_the_same_atoms_in_either_order_become_one_term():
    quads = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3]])
    energy = periodic_torsions(quads, np.array([1, 2, 3]), np.zeros(3), np.ones(3))
    assert energy.atoms.shape == (4, 1)
    assert energy.potential.odd is None


def test_ryckaert_bellemans_counts_from_trans():
    coefficients = np.array([[1.0, -2.0, 0.5, 3.0, -0.7, 0.2]])
    with jax.enable_x64(True):
        x = turned(PHI)
        psi = dihedrals(x, QUAD)[0] - np.pi
        expected = sum(c * np.cos(psi) ** n for n, c in enumerate(coefficients[0]))
        ours = ryckaert_bellemans_torsions(QUAD, coefficients)(x)
    np.testing.assert_allclose(ours, expected, atol=1e-10)


def test_forces_are_finite_at_cis_and_trans():
    energy = periodic_torsions(QUAD, np.array([3]), np.array([0.0]), np.array([5.0]))
    flat = turned(np.array([0.0, np.pi]))
    forces = jax.grad(lambda x: energy(x).sum())(flat)
    assert np.abs(forces).max() < 1e-3


def test_a_correction_map_has_its_grid_values_at_the_nodes_and_no_jumps_in_slope():
    grid = np.random.default_rng(0).normal(size=(8, 8))
    (energy,) = correction_maps(QUAD, QUAD + 4, np.array([0]), [grid])
    nodes = 2 * np.pi * np.arange(8) / 8
    phi, psi = (a.reshape(-1) for a in np.meshgrid(nodes, nodes, indexing="ij"))
    with jax.enable_x64(True):
        at = lambda p, q: jnp.concatenate([turned(p), turned(q)])  # noqa: E731
        np.testing.assert_allclose(energy(at(phi + 1e-12, psi + 1e-12)), grid.reshape(-1), atol=1e-8)
        slope = jax.jit(jax.grad(lambda x: energy(x).sum()))
        before, after = slope(at(phi - 1e-9, psi - 1e-9)), slope(at(phi + 1e-9, psi + 1e-9))
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_bicubic_interpolation_is_exact_for_a_product_of_waves_in_the_limit_of_fine_grids():
    def error(n):
        x = 2 * np.pi * np.arange(n) / n
        c = bicubic_coefficients(np.cos(x)[:, None] * np.sin(x))
        middle = np.einsum("ijkl,k,l->ij", c, 0.5 ** np.arange(4), 0.5 ** np.arange(4))
        half = x + np.pi / n
        return np.abs(middle - np.cos(half)[:, None] * np.sin(half)).max()

    assert 14 < error(12) / error(24) < 18
