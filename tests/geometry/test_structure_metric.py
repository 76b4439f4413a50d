"""Distances of structures after superposition and exchange of like atoms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thalweg.geometry.alignment import rmsd
from thalweg.geometry.structure_metric import AlignedRMSD, exchanges_of
from thalweg.systems.topology import Topology

CARBOXYLATE = Topology(
    ("C1", "C2", "O1", "O2"),
    ("C", "C", "O", "O"),
    ("ACE",) * 4,
    (1,) * 4,
    (0,) * 4,
    np.array([[0, 1], [1, 2], [1, 3]]),
)


def structures(count: int, atoms: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, atoms, 3))


def test_distances_are_those_of_every_pair_superposed():
    x, y = structures(3), structures(2, seed=1)
    expected = [[float(rmsd(jnp.asarray(a), jnp.asarray(b))) for b in y] for a in x]
    found = AlignedRMSD().between(x.reshape(3, 12), y.reshape(2, 12))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_like_atoms_may_change_places():
    exchanges = exchanges_of(CARBOXYLATE, range(4))
    assert exchanges == ((0, 1, 2, 3), (0, 1, 3, 2))
    x = structures(1)
    turned = Rotation.random(rng=0).apply(x[0][[0, 1, 3, 2]]) + 2.0
    frames = x.reshape(1, 12), turned.reshape(1, 12)
    assert AlignedRMSD(exchanges).between(*frames)[0, 0] == pytest.approx(0, abs=1e-6)
    assert AlignedRMSD().between(*frames)[0, 0] > 0.1


def test_a_mirror_image_is_another_structure():
    x = structures(1)
    assert AlignedRMSD().between(x.reshape(1, 12), (x * [1, 1, -1]).reshape(1, 12))[0, 0] > 0.1


def test_gradients_are_those_of_finite_differences():
    metric = AlignedRMSD(exchanges_of(CARBOXYLATE, range(4)))
    x, y = structures(1).reshape(1, 12), structures(3, seed=1).reshape(3, 12)
    with jax.enable_x64(True):
        gradient = jax.jacobian(lambda z: metric.between(z, jnp.asarray(y))[0])(jnp.asarray(x))[:, 0]
    step = 1e-6 * np.eye(12)
    numeric = np.stack(
        [(metric.between(x + h, y) - metric.between(x - h, y))[0] / 2e-6 for h in step], axis=1
    )
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)


def test_more_exchanges_than_can_be_tried_are_refused():
    methane_like = Topology(
        ("C",) + ("H",) * 8, ("C",) + ("H",) * 8, ("MOL",) * 9, (1,) * 9, (0,) * 9,
        np.array([[0, k] for k in range(1, 9)]),
    )  # fmt: skip
    with pytest.raises(ValueError, match="more than 720 ways"):
        exchanges_of(methane_like, range(9))


def test_frames_of_other_atoms_are_refused():
    with pytest.raises(ValueError, match="all of the same atoms"):
        AlignedRMSD().between(np.zeros((1, 12)), np.zeros((1, 15)))
