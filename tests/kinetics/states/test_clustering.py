"""Clusters are those of the textbook, periodic features close on themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans as ScikitKMeans

from thalweg.kinetics.states.clustering import KCenters, KMeans
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture
def blobs():
    random = np.random.default_rng(0)
    centers = 10 * random.standard_normal((6, 3))
    return centers, (centers[random.integers(0, 6, 6000)] + random.standard_normal((6000, 3))).astype(
        np.float32
    )


def test_k_means_finds_the_centers_of_blobs(blobs):
    centers, x = blobs
    found = KMeans(6).fit(x)
    distance = np.linalg.norm(found.centers[:, None] - centers, axis=2)
    assert sorted(distance.argmin(axis=0)) == list(range(6))
    assert distance.min(axis=0).max() < 0.2
    assert found.radius == pytest.approx(np.sqrt(3), rel=0.05)


def test_k_means_is_as_good_as_that_of_scikit_learn(blobs):
    _, x = blobs
    ours = KMeans(40, seed=1).fit(x)
    theirs = ScikitKMeans(40, n_init=1, random_state=1).fit(x)
    assert ours.radius**2 * len(x) < 1.05 * theirs.inertia_


def test_every_frame_goes_to_its_nearest_center(blobs):
    _, x = blobs
    found = KMeans(20).fit(x)
    far = Trajectories([x[:10] + 1000, x], dt=2.0)
    shifted = KMeans(20).fit(x + 1000)
    for clustering, data in ((found, Trajectories([x])), (shifted, far)):
        states = clustering.transform(data)
        frames = np.concatenate(data.blocks)
        nearest = np.linalg.norm(frames[:, None].astype(float) - clustering.centers, axis=2).argmin(axis=1)
        assert (np.concatenate(states.blocks) == nearest).mean() > 0.999
    assert states.dt == 2.0
    assert states.n_states == 20


def test_the_two_ends_of_a_period_are_one_place():
    random = np.random.default_rng(0)
    angle = np.where(random.random(2000) < 0.5, np.pi, 0.0) + 0.2 * random.standard_normal(2000)
    wrapped = ((angle + np.pi) % (2 * np.pi) - np.pi)[:, None]
    for method in (KMeans(2, periods=(2 * np.pi,)), KCenters(2, periods=(2 * np.pi,))):
        states = method.fit(wrapped).transform(wrapped)
        side = np.abs(wrapped[:, 0]) > np.pi / 2
        assert (states == states[0])[side == side[0]].mean() > 0.95
    assert np.abs(KMeans(2, periods=(2 * np.pi,)).fit(wrapped).centers).max() <= np.pi


def test_periodic_and_plain_features_mix():
    random = np.random.default_rng(0)
    x = np.column_stack([random.uniform(-180, 180, 500), random.standard_normal(500)])
    centers = KMeans(5, periods=(360.0, None)).fit(x).centers
    assert centers.shape == (5, 2)
    assert np.abs(centers[:, 1]).max() < 3


def test_k_centers_cover_the_data_within_their_radius(blobs):
    _, x = blobs
    found = KCenters(30).fit(x)
    distance = np.linalg.norm(x[:, None] - found.centers, axis=2).min(axis=1)
    assert distance.max() == pytest.approx(found.radius, rel=1e-3)
    apart = np.linalg.norm(found.centers[:, None] - found.centers, axis=2) + 1e9 * np.eye(30)
    assert apart.min() >= found.radius * (1 - 1e-3)


@pytest.mark.parametrize("method", [KMeans, KCenters])
def test_wrong_requests_are_explained(method):
    with pytest.raises(ValueError, match="n_clusters=9 must lie between 1 and the number of frames, 5"):
        method(9).fit(np.zeros((5, 2)))
    many = np.repeat([[0.0], [1.0]], 300, axis=0)
    with pytest.raises(ValueError, match="there are 2 different frames, fewer than n_clusters=5"):
        method(5).fit(many)
    with pytest.raises(ValueError, match="feature 1 is nan in trajectory 0, frame 1"):
        method(2).fit(np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 3.0]]))
    angle = np.cumsum(np.random.default_rng(0).normal(0, 0.3, 5000))
    with pytest.warns(
        UserWarning, match=r"features \[0\] jump from one end of their range to the other as angles do"
    ):
        method(5).fit(np.arctan2(np.sin(angle), np.cos(angle))[:, None])
    with pytest.raises(ValueError, match="there are 1 different frames, fewer than n_clusters=3"):
        method(3).fit(np.zeros((5, 2)))
    with pytest.raises(ValueError, match="1 periods for 2 features"):
        method(1, periods=(1.0,)).fit(np.zeros((5, 2)))
    with pytest.raises(ValueError, match="got 3 features, clusters were made of 2"):
        method(1).fit(np.zeros((5, 2))).transform(np.zeros((5, 3)))
