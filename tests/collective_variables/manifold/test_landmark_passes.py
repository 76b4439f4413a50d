"""Landmarks of shares stand for the frames as landmarks of all do."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.collective_variables.manifold.diffusion_map import DiffusionMap
from thalweg.collective_variables.manifold.landmark_passes import LandmarkPass, NetPass
from thalweg.collective_variables.manifold.landmarks import weighed_landmarks
from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.time_series.one_pass import gathered, shares
from thalweg.time_series.trajectories import Trajectories


@pytest.fixture(scope="module")
def circle():
    turn = np.random.default_rng(0).uniform(0, 2 * np.pi, 12_000)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def test_a_net_of_shares_leaves_no_frame_far_and_no_two_points_close(circle):
    points = gathered(NetPass(150), shares(circle, frames=4000))
    assert 50 <= len(points) <= 150
    apart = Euclidean().between(points, points)[~np.eye(len(points), dtype=bool)].min()
    assert weighed_landmarks(points, Trajectories([circle])).radius < 2 * apart


def test_weights_of_landmarks_are_those_of_all_frames(circle):
    random = np.random.default_rng(1)
    data = Trajectories([circle[:8000], circle[8000:]], weights=[random.random(8000), random.random(4000)])
    points = circle[:300]
    whole = weighed_landmarks(points, data).occupied
    ours = gathered(LandmarkPass(points), shares(data, frames=3000, n_blocks=4))
    np.testing.assert_allclose(ours.weights, whole.weights, rtol=1e-10)
    np.testing.assert_array_equal(ours.counts, whole.counts)
    assert ours.radius == pytest.approx(whole.radius, rel=1e-10)
    assert len(ours.blocks) == 4


def test_a_map_of_landmarks_has_the_rates_of_the_circle_within_three_errors(circle):
    parts = shares(circle, frames=4000)
    landmarks = gathered(LandmarkPass(gathered(NetPass(500), parts)), parts)
    model = DiffusionMap(dim=2).fit(landmarks)
    estimate = model.rate_errors(samples=20)
    assert (np.abs(estimate.value - 1) < 3 * estimate.error).all()
    assert (estimate.error < 0.15).all()
    assert any("12000 frames are represented by" in note for note in model.notes)


def test_a_map_of_landmarks_is_that_of_a_fit_that_took_the_same(circle):
    class Given:
        def chosen(self, data, metric):
            return points

    parts = shares(circle, frames=3000)
    points = gathered(NetPass(500), parts)
    ours = DiffusionMap().fit(gathered(LandmarkPass(points), parts))
    theirs = DiffusionMap(landmarks=Given(), max_frames=1000).fit(circle)
    np.testing.assert_allclose(ours.rates, theirs.rates, rtol=1e-10)
