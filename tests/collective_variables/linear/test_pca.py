"""Principal components are those of the covariance matrix."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.linear.pca import PCA
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture
def x():
    random = np.random.default_rng(0)
    return random.standard_normal((4000, 4)) @ random.standard_normal((4, 4)) + 7


def test_variances_and_directions_are_those_of_numpy(x):
    model = PCA(dim=4).fit([x[:1500], x[1500:]])
    _, singular, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(model.variances, singular**2 / len(x), rtol=1e-10)
    np.testing.assert_allclose(np.abs(model.loadings.T @ directions.T), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(model.explained[-1], 1)


def test_components_are_uncorrelated_and_trajectories_stay_apart(x):
    runs = PCA(dim=2).fit(x).transform(Trajectories([x[:10], x[10:]], dt=0.2))
    assert runs.lengths.tolist() == [10, 3990]
    assert runs.dt == 0.2
    assert abs(np.corrcoef(np.concatenate(runs.blocks).T)[0, 1]) < 1e-10


def test_too_many_components_are_refused(x):
    with pytest.raises(ValueError, match="dim=5 must lie between 1 and the number of features, 4"):
        PCA(dim=5).fit(x)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), needed is \(frames, 4\)"):
        PCA(dim=2).fit(x).transform(np.zeros((3, 2)))
