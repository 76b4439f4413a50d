"""Which features, atoms and residues a variable is made of."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.interpretation.importance import (
    feature_labels,
    gradient_importance,
    loading_importance,
)
from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.sparse_tica import SparseTICA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.time_series.trajectories import Trajectories

NAMES = ["d 0-1", "d 1-2", "d 2-3", "d 3-4"]
ATOMS = [(0, 1), (1, 2), (2, 3), (3, 4)]
RESIDUES = ["ALA1", "ALA1", "GLY2", "GLY2", "SER3"]


@pytest.fixture(scope="module")
def slow():
    """Feature 2 relaxes slowly, feature 3 is its shadow in another unit with noise, the others are fast."""
    random = np.random.default_rng(0)
    hidden = np.zeros(20000)
    for t in range(1, len(hidden)):
        hidden[t] = 0.99 * hidden[t - 1] + 0.1 * random.standard_normal()
    x = random.standard_normal((20000, 4))
    x[:, 2] = hidden
    x[:, 3] = 100 * (hidden + random.standard_normal(20000))
    return Trajectories([x[:12000], x[12000:]], names=NAMES)


@pytest.mark.parametrize(
    "method", [TICA(5, dim=1), VAC(5, dim=1), SparseTICA(5, dim=1)], ids=lambda m: type(m).__name__
)
def test_the_slow_feature_is_the_important_one_in_any_unit(method, slow):
    found = loading_importance(method.fit(slow), slow)
    assert found.names == tuple(NAMES)
    assert found.shares[2, 0] > 0.9
    assert abs(found.correlations[2, 0]) > 0.99
    assert abs(found.correlations[3, 0]) > 0.5, "its shadow is correlated though not used"
    by_residue = found.grouped(feature_labels(ATOMS, RESIDUES))
    assert by_residue.names[0] == "GLY2"
    np.testing.assert_allclose(by_residue.values.sum(axis=0), found.values.sum(axis=0))
    assert "d 2-3" in str(found).splitlines()[1]


def test_atoms_share_the_importance_of_the_features_they_are_part_of(slow):
    by_atom = loading_importance(TICA(5, dim=1).fit(slow), slow).grouped(ATOMS)
    assert set(by_atom.names[:2]) == {"2", "3"}


def test_importance_and_correlation_of_principal_components_follow_from_their_definition(slow):
    model = PCA(dim=2).fit(slow)
    found = loading_importance(model, slow)
    x = np.concatenate(slow.blocks)
    np.testing.assert_allclose(found.values, np.abs(model.loadings) * x.std(axis=0)[:, None], rtol=1e-6)
    expected = np.corrcoef(x.T, model.transform(x).T)[:4, 4:]
    np.testing.assert_allclose(found.correlations, expected, atol=1e-6)


def test_gradients_of_a_linear_variable_give_the_importance_of_its_loadings(slow):
    model = TICA(5, dim=2).fit(slow)
    by_loading = loading_importance(model, slow)
    by_gradient = gradient_importance(model.transform, slow, most=slow.n_frames)
    np.testing.assert_allclose(by_gradient.values, by_loading.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(by_gradient.correlations, by_loading.correlations, atol=1e-3)


def test_a_kernel_variable_is_read_through_its_gradients(slow):
    model = VAC(5, dim=1, basis=Landmarks(60)).fit(slow)
    with pytest.raises(ValueError, match="gradient_importance"):
        loading_importance(model, slow)
    found = gradient_importance(model.transform, slow, most=500)
    assert found.shares[:, 0].argmax() == 2


def test_weights_of_frames_count(slow):
    x = np.concatenate(slow.blocks)
    twice = Trajectories([np.concatenate([x, x[:4000]])])
    weighted = Trajectories([x], weights=[1.0 + (np.arange(len(x)) < 4000)])

    def variable(frames):
        return frames[:, :1] ** 2 + frames[:, 1:2]

    first, second = (gradient_importance(variable, each, most=40000) for each in (twice, weighted))
    np.testing.assert_allclose(first.values, second.values, rtol=1e-5)


def test_features_that_do_not_vary_have_no_importance_and_no_correlation():
    x = np.stack([np.ones(100), np.sin(np.arange(100.0))], axis=1)
    found = gradient_importance(lambda frames: jnp.sum(frames, axis=1, keepdims=True), x)
    assert found.values[0, 0] < 1e-6
    assert np.isnan(found.correlations[0, 0])


def test_groups_must_fit_the_features(slow):
    found = loading_importance(PCA(dim=1).fit(slow), slow)
    with pytest.raises(ValueError, match="one entry each"):
        found.grouped(ATOMS[:2])
    with pytest.raises(ValueError, match="belongs to no group"):
        found.grouped([(), *ATOMS[1:]])
