"""Landmarks cover the frames and carry their weights."""

import numpy as np
import pytest

from thalweg.collective_variables.manifold.landmarks import Centroids, DeltaNet, FarthestPoints, landmarks_of
from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.collective_variables.manifold.neighbors import nearest
from thalweg.time_series.trajectories import Trajectories


@pytest.mark.parametrize(
    "choice", [DeltaNet(60), FarthestPoints(60), Centroids(60)], ids=lambda c: type(c).__name__
)
def test_weights_of_landmarks_sum_to_those_of_the_frames(choice):
    rng = np.random.default_rng(0)
    blocks = [rng.random((1500, 2)), rng.random((2500, 2))]
    weights = [rng.random(len(block)) for block in blocks]
    found = landmarks_of(Trajectories(blocks, weights=weights), choice)
    assert len(found.points) <= 60
    assert found.counts.sum() == 4000
    assert found.weights.sum() == pytest.approx(sum(w.sum() for w in weights))


def test_points_of_a_net_are_apart_and_no_frame_is_farther_from_all():
    x = np.random.default_rng(1).random((3000, 2))
    net = DeltaNet(1000, distance=0.1).chosen(Trajectories([x]), Euclidean())
    assert nearest(net, 1).distances.min() > 0.1
    assert nearest(net, 1, queries=x).distances.max() <= 0.1


def test_a_net_too_fine_for_its_count_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"distance=0.001 needs more than 50"):
        landmarks_of(np.random.default_rng(1).random((300, 2)), DeltaNet(50, distance=0.001))
