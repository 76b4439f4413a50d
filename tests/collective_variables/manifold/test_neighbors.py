"""Neighbors by tree, by blocks and by any metric are the same; a cloud in parts says so."""

import numpy as np
import pytest

from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.collective_variables.manifold.neighbors import graph, nearest, parts


class Plain:
    """Euclidean distances of which no points are known."""

    def between(self, x, y):
        return Euclidean().between(x, y)

    def embedded(self, x):
        return None


@pytest.mark.parametrize("dims", [3, 20])
def test_trees_and_blocks_find_the_neighbors_that_all_distances_say(dims):
    x = np.random.default_rng(0).standard_normal((300, dims))
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = np.argsort(distances, axis=1)[:, :7]
    for metric in (Euclidean(), Plain()):
        found = nearest(x, 7, metric)
        assert (found.indices == expected).all()
        np.testing.assert_allclose(found.distances, np.take_along_axis(distances, expected, 1), rtol=1e-6)


def test_neighbors_in_dense_clouds_that_stand_far_apart_are_exact():
    rng = np.random.default_rng(0)
    x = np.concatenate([1e3 + 0.01 * rng.standard_normal((400, 8)), rng.standard_normal((400, 8))])
    distances = np.linalg.norm(x[:400, None] - x[None, :400], axis=2)
    found = nearest(x, 5)
    np.testing.assert_allclose(found.distances[:400], np.sort(distances, axis=1)[:, 1:6], rtol=1e-3)


def test_a_point_is_no_neighbor_of_itself_though_others_stand_at_its_place():
    x = np.repeat([[0.0], [1.0]], 5, axis=0)
    found = nearest(x, 4)
    assert (found.indices != np.arange(10)[:, None]).all()
    assert (found.distances == 0).all()


def test_parts_of_a_cloud_are_told_by_their_sizes_the_largest_first():
    x = np.concatenate([np.arange(20.0), 100 + np.arange(30.0)])[:, None]
    found = parts(graph(nearest(x, 3)))
    assert found.sizes.tolist() == [30, 20]
    assert (found.labels[20:] == 0).all()
    assert "2 parts of 30, 20 frames" in found.told


def test_more_neighbors_than_there_are_frames_are_refused():
    with pytest.raises(ValueError, match="4 neighbors asked of 4 frames; ask for 1 to 3"):
        nearest(np.arange(4.0)[:, None], 4)
