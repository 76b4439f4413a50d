"""Networks on a prior: forces of a known energy come back, and what runs is what was fitted."""

import jax
import numpy as np
import pytest

from thalweg.coarse_graining import (
    AngleWaves,
    BeadFrames,
    BondedInteraction,
    ForceMatching,
    InternalCoordinate,
    KernelPoints,
    NetworkForceMatching,
    Powers,
)
from thalweg.coarse_graining.fitting.force_matching import forces_of

KT = 2.5
TORSION = InternalCoordinate("dihedral", [[0, 1, 2, 3]], AngleWaves(2))
BONDS = BondedInteraction(InternalCoordinate("distance", [[0, 1], [1, 2], [2, 3]], Powers(0.15)), name="bond")
EXACT = BondedInteraction(TORSION, name="torsion")


def frames(count, noise, seed=0):
    """Twisted chains of four beads with forces of a torsion and springs, and noise."""
    rng = np.random.default_rng(seed)
    phi = rng.uniform(-np.pi, np.pi, count)
    x = np.zeros((count, 4, 3))
    x[:, 0], x[:, 2] = [0.12, 0, -0.05], [0, 0, 0.15]
    x[:, 3] = np.stack([0.12 * np.cos(phi), 0.12 * np.sin(phi), np.full(count, 0.2)], 1)
    x += rng.normal(0, 0.004, x.shape)
    f = EXACT.rows(x)[1] @ [3.0, 4.0, -2.0, 1.0] + BONDS.rows(x)[1] @ [0.0, 3000.0]
    return BeadFrames(x, KT, f + noise * rng.normal(size=x.shape))


@pytest.mark.parametrize("way", ["kernels", "networks"])
def test_a_torsion_that_knows_left_from_right_comes_back_from_noisy_forces(way):
    data, prior = frames(800, 10.0), BONDS.energy(np.array([0.0, 3000.0]), 4)
    seen = [TORSION]
    if way == "kernels":
        kernels = KernelPoints(seen, data, points=20, length=1.5)
        model = ForceMatching((kernels,), prior=prior).fit(data)
    else:
        model = NetworkForceMatching(seen, prior, hidden=(24,), epochs=40, members=2).fit(data)
    test = frames(300, 0.0, seed=1)
    wanted = test.forces - forces_of(prior, test)
    left = test.forces - forces_of(model.energy(), test)
    assert (left**2).mean() < 0.03 * (wanted**2).mean()


def test_kernels_run_as_they_were_fitted():
    data = frames(60, 0.0)
    kernels = KernelPoints([TORSION, BONDS.coordinates[0]], data, points=8, length=2.0)
    c = np.random.default_rng(0).normal(size=8)
    sums, rows = kernels.rows(data.positions)
    with jax.enable_x64(True):
        x = np.moveaxis(data.positions, 0, -1)
        np.testing.assert_allclose(np.asarray(kernels.energy(c, 4)(x)), sums @ c, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(forces_of(kernels.energy(c, 4), data), rows @ c, rtol=1e-7, atol=1e-7)


def test_members_disagree_about_forces():
    data = frames(200, 100.0)
    prior = BONDS.energy(np.array([0.0, 3000.0]), 4)
    model = NetworkForceMatching([TORSION], prior, hidden=(8,), epochs=2, members=2).fit(data)
    assert (model.force_spread(data[:20]) > 0).any()


def test_a_liquid_is_not_for_networks_of_internal_coordinates():
    data = frames(4, 0.0)
    boxed = BeadFrames(data.positions, KT, data.forces, np.broadcast_to(np.eye(3), (4, 3, 3)))
    with pytest.raises(ValueError, match="without boxes"):
        NetworkForceMatching([TORSION], BONDS.energy(np.zeros(2), 4)).fit(boxed)


def test_models_are_read_back_as_they_were(tmp_path):
    data, prior = frames(200, 10.0), BONDS.energy(np.array([0.0, 3000.0]), 4)
    kernels = KernelPoints([TORSION], data, points=5)
    for model in (
        ForceMatching((EXACT, kernels), prior=prior).fit(data),
        NetworkForceMatching([TORSION], prior, hidden=(8,), epochs=1, members=2).fit(data),
    ):
        again = type(model).load(model.save(tmp_path / "model.npz"))
        np.testing.assert_array_equal(forces_of(again.energy(), data), forces_of(model.energy(), data))
