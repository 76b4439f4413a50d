"""Clusters by distances: known divisions, weights, frames unlike vectors, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from thalweg.geometry.structure_metric import AlignedRMSD
from thalweg.kinetics.states.density_peaks import DensityPeaks
from thalweg.kinetics.states.hierarchical_clusters import HierarchicalClusters
from thalweg.kinetics.states.k_medoids import KMedoids
from thalweg.time_series.trajectories import Trajectories

CENTERS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def clouds(counts=(300, 200, 100), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian clouds and which each frame is of, in mixed order."""
    generator = np.random.default_rng(seed)
    kind = generator.permutation(np.repeat(np.arange(3), counts))
    return CENTERS[kind] + generator.standard_normal((len(kind), 2)), kind


METHODS = (KMedoids(3), HierarchicalClusters(n_clusters=3), HierarchicalClusters(cutoff=5.0), DensityPeaks())


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_three_clouds_are_told_apart_the_largest_first(method):
    frames, kind = clouds()
    model = method.fit(Trajectories([frames[:350], frames[350:]]))
    states = np.concatenate(model.transform(Trajectories([frames[:350], frames[350:]])).blocks)
    assert (states == kind).mean() > 0.99
    np.testing.assert_allclose(model.populations, [1 / 2, 1 / 3, 1 / 6], atol=0.01)
    np.testing.assert_allclose(model.medoids, CENTERS, atol=0.5)
    assert model.silhouettes.min() > 0.6


def test_swaps_end_in_the_best_medoids_of_all():
    frames = np.random.default_rng(1).standard_normal((14, 2))
    model = KMedoids(3, restarts=8).fit(frames)
    away = np.linalg.norm(frames[:, None] - frames, axis=2)
    least = min(away[:, list(some)].min(axis=1).sum() for some in itertools.combinations(range(14), 3))
    found = np.linalg.norm(frames[:, None] - model.medoids, axis=2).min(axis=1).sum()
    assert found == pytest.approx(least, rel=1e-12)


def test_a_frame_of_weight_three_is_that_frame_three_times():
    frames, _ = clouds((60, 40, 20))
    weights = 1.0 + 2 * (np.arange(len(frames)) % 4 == 0)
    heavy = KMedoids(4).fit(Trajectories([frames], weights=[weights]))
    often = KMedoids(4).fit(Trajectories([np.repeat(frames, weights.astype(int), axis=0)]))
    np.testing.assert_allclose(heavy.populations, often.populations)


def test_one_cloud_has_one_peak_whatever_its_noise():
    counts = [
        DensityPeaks().fit(np.random.default_rng(seed).standard_normal((800, 3))).n_clusters
        for seed in range(5)
    ]
    assert counts == [1] * 5


def test_structures_that_tumble_are_divided_by_their_shape():
    generator = np.random.default_rng(0)
    shapes = generator.standard_normal((2, 6, 3))
    kind = np.repeat([0, 1], 40)
    rotations = np.linalg.qr(generator.standard_normal((80, 3, 3)))[0]
    rotations[np.linalg.det(rotations) < 0, :, 0] *= -1
    frames = shapes[kind] + 0.05 * generator.standard_normal((80, 6, 3))
    frames = np.einsum("nai,nij->naj", frames, rotations) + generator.standard_normal((80, 1, 3))
    model = KMedoids(2, metric=AlignedRMSD()).fit(frames.reshape(80, 18))
    states = model.transform(frames.reshape(80, 18))
    assert len(set(states[:40])) == len(set(states[40:])) == 1
    assert states[0] != states[-1]


def test_clusters_hardly_apart_are_told():
    model = KMedoids(5).fit(np.random.default_rng(0).uniform(size=(300, 4)))
    assert "hardly apart" in model.notes[-1]


def test_bad_settings_are_told():
    frames, _ = clouds()
    with pytest.raises(ValueError, match="give one of them"):
        HierarchicalClusters()
    with pytest.raises(ValueError, match="Euclidean"):
        HierarchicalClusters(n_clusters=2, joining="ward", metric=AlignedRMSD())
    with pytest.raises(ValueError, match="n_clusters=9 of 5 different frames"):
        KMedoids(9).fit(frames[:5])
    with pytest.raises(ValueError, match="give more frames"):
        DensityPeaks().fit(frames[:20])
