"""Ewald's sum and its mesh beside Madelung's constants, clusters of charges and each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import vesin

from thalweg.potentials.electrostatics.ewald import smooth_energy, splitting, waves
from thalweg.potentials.electrostatics.multipoles import (
    Multipoles,
    multipole_energy,
    point_kernel,
    smooth_kernel,
)
from thalweg.potentials.electrostatics.particle_mesh import mesh_size, smooth_mesh_energy

CUBE = np.eye(3)
FACES = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SKEWED = np.array([[1.0, 0, 0], [0.3, 1.1, 0], [-0.2, 0.4, 0.9]])


def ewald_energy(points, moments, box, cutoff, tolerance=1e-9):
    """The whole sum [e^2/nm]: waves, and pairs nearby."""
    alpha = splitting(cutoff, tolerance)
    i, j, r = vesin.NeighborList(cutoff=cutoff, full_list=True).compute(points, box, True, "ijD")
    distances = np.linalg.norm(r, axis=1)
    kernel = [
        a - b
        for a, b in zip(
            point_kernel(distances, moments.order), smooth_kernel(distances, alpha, moments.order)
        )
    ]
    near = 0.5 * multipole_energy(kernel, jnp.asarray(r.T), moments.of(i), moments.of(j)).sum()
    return float(
        near + smooth_energy(jnp.asarray(points.T), moments, box, alpha, waves(box, alpha, tolerance))
    )


@pytest.mark.parametrize(
    ("place", "box", "nearest", "constant"),
    [
        ([0.5, 0, 0], FACES, 0.5, 1.74756459463318),
        ([0.5, 0.5, 0.5], CUBE, np.sqrt(3) / 2, 1.76267477307099),
        ([0.25, 0.25, 0.25], FACES, np.sqrt(3) / 4, 1.63805505338879),
    ],
    ids=["rock salt", "cesium chloride", "zinc blende"],
)
def test_salts_have_the_constants_of_madelung(place, box, nearest, constant):
    with jax.enable_x64(True):
        points = np.array([[0, 0, 0], place])
        energy = ewald_energy(points, Multipoles(np.array([1.0, -1.0])), box, 1.2)
        assert -energy * nearest == pytest.approx(constant, abs=1e-8)


def test_a_charge_in_a_background_has_the_energy_of_the_wigner_lattice_however_it_is_split():
    with jax.enable_x64(True):
        one = Multipoles(np.ones(1))
        for cutoff in (0.8, 1.5):
            energy = ewald_energy(np.zeros((1, 3)), one, CUBE, cutoff)
            assert energy == pytest.approx(-2.837297479480619 / 2, abs=1e-8)


def cluster(dipole, quadrupole, step):
    """Charges on a small cube that have these moments to the second order of ``step``: places and charges."""
    axes = np.eye(3)
    places, charges = [], []
    for a in range(3):
        for sign in (1, -1):
            places.append(sign * step * axes[a])
            charges.append(sign * dipole[a] / (2 * step) + quadrupole[a, a] / (2 * step**2))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for s in (1, -1):
            for t in (1, -1):
                places.append(step * (s * axes[a] + t * axes[b]))
                charges.append(s * t * quadrupole[a, b] / (4 * step**2))
    return np.array(places), np.array(charges)


@pytest.mark.long
def test_dipoles_and_quadrupoles_are_small_clusters_of_charges_in_the_open_and_in_a_cell():
    random = np.random.default_rng(0)
    charges, dipoles = np.array([0.7, -0.7]), 0.1 * random.normal(size=(3, 2))
    quadrupoles = 0.01 * random.normal(size=(3, 3, 2))
    quadrupoles = quadrupoles + quadrupoles.swapaxes(0, 1)
    quadrupoles -= np.eye(3)[:, :, None] * np.trace(quadrupoles) / 3
    points, step = np.array([[0.1, 0.2, 0.0], [0.5, 0.4, 0.45]]), 4e-3
    places, values, owners = [], [], []
    for k in range(2):
        x, q = cluster(dipoles[:, k], quadrupoles[:, :, k], step)
        places += [points[k : k + 1], points[k] + x]
        values += [charges[k : k + 1], q]
        owners += [k] * (len(q) + 1)
    places, values, owners = np.concatenate(places), np.concatenate(values), np.array(owners)
    with jax.enable_x64(True):
        moments = Multipoles(charges, dipoles, quadrupoles)
        r = (points[1] - points[0])[:, None]
        kernel = point_kernel(np.linalg.norm(r, axis=0), 4)
        exact = float(
            multipole_energy(kernel, jnp.asarray(r), moments.of(np.array([0])), moments.of(np.array([1])))[0]
        )
        i, j = np.nonzero((owners[:, None] == 0) & (owners[None] == 1))
        apart = np.linalg.norm(places[i] - places[j], axis=1)
        assert exact == pytest.approx((values[i] * values[j] / apart).sum(), rel=1e-3)
        # in a cell the clusters' energies with themselves are taken off: what is left are images and partners
        cell = ewald_energy(points, moments, SKEWED, 1.4)
        alpha = splitting(1.4, 1e-9)
        numbers = waves(SKEWED, alpha, 1e-9)
        smooth = smooth_energy(jnp.asarray(places.T), Multipoles(values), SKEWED, alpha, numbers)
        vectors = places[None] - places[:, None]
        images = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3) @ SKEWED
        near = 0.0
        for image in images:
            distances = np.linalg.norm(vectors + image, axis=2)
            same = (owners[:, None] == owners[None]) & (np.abs(image).sum() < 1e-9)
            safe = np.where(distances > 0, distances, 1.0)
            screened = np.asarray(point_kernel(safe, 0)[0] - smooth_kernel(safe, alpha, 0)[0])
            # within one cluster the smooth sum's own part goes, the bare one is not counted
            inner = np.where(distances > 0, -np.asarray(smooth_kernel(safe, alpha, 0)[0]), 0.0)
            near += 0.5 * (np.outer(values, values) * np.where(same, inner, screened)).sum()
        assert cell == pytest.approx(float(smooth) + near, rel=2e-3)


def random_cell(atoms=40, seed=1):
    random = np.random.default_rng(seed)
    box = 2 * SKEWED
    return random.uniform(size=(atoms, 3)) @ box, random.normal(size=atoms), box


def test_the_mesh_has_the_energy_and_gradient_of_the_waves_and_errs_by_its_tolerance():
    points, charges, box = random_cell()
    alpha = splitting(0.8, 1e-6)
    with jax.enable_x64(True):
        numbers = waves(box, alpha, 1e-10)
        exact = jax.value_and_grad(lambda x: smooth_energy(x, Multipoles(charges), box, alpha, numbers))
        energy, slope = exact(jnp.asarray(points.T))
        for tolerance in (1e-3, 1e-5):
            mesh = mesh_size(box, alpha, tolerance)
            meshed = jax.value_and_grad(
                lambda x, mesh=mesh: smooth_mesh_energy(x, jnp.asarray(charges), box, alpha, mesh)
            )
            value, gradient = meshed(jnp.asarray(points.T))
            assert float(jnp.sqrt(((gradient - slope) ** 2).mean() / (slope**2).mean())) < 3 * tolerance
            assert abs(float(value - energy)) < 20 * tolerance * abs(float(energy))


@pytest.mark.long
def test_the_mesh_strains_as_the_waves_do():
    points, charges, box = random_cell(12)
    alpha = splitting(0.8, 1e-6)
    numbers, mesh = waves(box, alpha, 1e-9), mesh_size(box, alpha, 1e-6)

    def strained(energy):
        def of(strain):
            stretch = jnp.eye(3) + strain
            return energy(stretch.T @ jnp.asarray(points.T), jnp.asarray(box) @ stretch)

        return np.asarray(jax.grad(of)(jnp.zeros((3, 3))))

    with jax.enable_x64(True):
        by_waves = strained(lambda x, box: smooth_energy(x, Multipoles(charges), box, alpha, numbers))
        by_mesh = strained(lambda x, box: smooth_mesh_energy(x, jnp.asarray(charges), box, alpha, mesh))
    np.testing.assert_allclose(by_mesh, by_waves, atol=2e-5 * np.abs(by_waves).max())


def test_a_cell_that_needs_too_many_waves_is_refused_with_the_number():
    with pytest.raises(ValueError, match="waves; use a particle mesh"):
        waves(np.eye(3) * 30.0, 4.0)
    with pytest.raises(ValueError, match="cell with a volume"):
        waves(np.zeros((3, 3)), 4.0)
