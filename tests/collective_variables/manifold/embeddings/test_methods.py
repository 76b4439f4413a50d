"""Maps beside scikit-learn's where it has the same, and beside what mathematics knows of simple shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy
from sklearn import decomposition, manifold

from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.vac import VAC
from thalweg.collective_variables.manifold.embeddings.hessian_eigenmaps import HessianEigenmaps
from thalweg.collective_variables.manifold.embeddings.independent_components import ICA
from thalweg.collective_variables.manifold.embeddings.isomap import Isomap
from thalweg.collective_variables.manifold.embeddings.kernel_pca import KernelPCA
from thalweg.collective_variables.manifold.embeddings.laplacian_eigenmaps import LaplacianEigenmaps
from thalweg.collective_variables.manifold.embeddings.locally_linear import LocallyLinearEmbedding
from thalweg.collective_variables.manifold.embeddings.maximum_variance_unfolding import (
    MaximumVarianceUnfolding,
)
from thalweg.collective_variables.manifold.embeddings.multidimensional_scaling import ClassicalMDS, MetricMDS
from thalweg.collective_variables.manifold.embeddings.sketch_map import (
    SketchMap,
    SketchSigmoid,
    _stress_and_slope,
)
from thalweg.collective_variables.manifold.embeddings.tangent_spaces import LTSA
from thalweg.collective_variables.manifold.metric import Euclidean
from thalweg.time_series.trajectories import Trajectories


def sheet(count: int, hole: bool = False, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A strip bent around a cylinder ``(count, 3)`` and its flat coordinates ``(count, 2)``."""
    flat = np.random.default_rng(seed).uniform((0.0, 0.0), (3.0, 1.5), (4 * count, 2))
    if hole:
        flat = flat[np.abs(flat - (1.5, 0.75)).max(axis=1) > 0.35]
    flat = flat[:count]
    return np.stack([np.cos(flat[:, 0]), np.sin(flat[:, 0]), flat[:, 1]], axis=1), flat


def unexplained(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of the variance of ``wanted`` that no affine map of ``found`` gives."""
    columns = np.concatenate([np.ones((len(found), 1)), found], axis=1)
    left = wanted - columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    return float((left.var(axis=0) / wanted.var(axis=0)).max())


def up_to_signs(found: np.ndarray, wanted: np.ndarray, rtol: float) -> None:
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max())


X, FLAT = sheet(300)


def test_kernel_pca_is_that_of_scikit_learn_in_seen_and_unseen_frames():
    theirs = decomposition.KernelPCA(3, kernel="rbf", gamma=0.5 / 0.8**2).fit(X)
    ours = KernelPCA(3, width=0.8, left_out=0).fit(X)
    unseen = sheet(50, seed=1)[0]
    up_to_signs(ours.transform(unseen), theirs.transform(unseen), 1e-7)
    up_to_signs(ours.transform(X), theirs.transform(X), 1e-7)


def test_classical_scaling_of_euclidean_distances_is_principal_component_analysis():
    weights = np.random.default_rng(0).uniform(0.2, 2.0, len(X))
    data = Trajectories([X], weights=[weights])
    unseen = sheet(50, seed=1)[0]
    ours, theirs = ClassicalMDS(2, left_out=0).fit(data), PCA(2).fit(data)
    up_to_signs(ours.transform(unseen), theirs.transform(unseen), 1e-8)
    np.testing.assert_allclose(ours.spectrum[:3], theirs.variances, rtol=1e-8)


def test_metric_scaling_has_no_more_stress_than_scikit_learn_from_the_same_start():
    model = MetricMDS(2, tolerance=1e-7, iterations=1000, left_out=0).fit(X)
    distances = Euclidean().between(X, X)
    _, raw = manifold.smacof(
        distances, init=manifold.ClassicalMDS(2).fit_transform(X), n_init=1, normalized_stress=False
    )
    pairs = np.triu_indices(len(X), 1)
    y = model.coordinates
    ours = ((scipy.spatial.distance.pdist(y) - scipy.spatial.distance.pdist(model.landmarks)) ** 2).sum()
    assert ours <= raw * (1 + 1e-4)
    assert model.spectrum[0] == pytest.approx(np.sqrt(ours / (distances[pairs] ** 2).sum()), rel=1e-3)


def test_isomap_is_that_of_scikit_learn_at_landmarks():
    model = Isomap(2, 8, left_out=0).fit(X)
    theirs = manifold.Isomap(n_neighbors=8, n_components=2).fit_transform(model.landmarks)
    up_to_signs(model.coordinates, theirs, 1e-6)


def test_isomap_finds_the_variances_of_a_flat_sheet():
    """Ways along neighbors are a little longer than straight ones, by the same share in all directions."""
    spectrum, exact = Isomap(2, 8, left_out=0).fit(X).spectrum, np.sort(FLAT.var(axis=0))[::-1]
    assert (spectrum[:2] > exact).all()
    assert (spectrum[:2] < 1.2 * exact).all()
    assert spectrum[0] / spectrum[1] == pytest.approx(exact[0] / exact[1], rel=0.05)
    assert spectrum[2] < 0.25 * spectrum[1]


def test_locally_linear_embedding_is_that_of_scikit_learn_at_landmarks():
    model = LocallyLinearEmbedding(2, 10, left_out=0).fit(X)
    theirs = manifold.LocallyLinearEmbedding(n_neighbors=10, n_components=2, eigen_solver="dense")
    assert unexplained(model.coordinates, theirs.fit_transform(model.landmarks)) < 1e-6


@pytest.mark.parametrize(
    "method", [LTSA(2, left_out=0), HessianEigenmaps(2, left_out=0)], ids=lambda m: m.word
)
def test_a_sheet_with_a_hole_is_laid_flat_up_to_an_affine_map(method):
    x, flat = sheet(500, hole=True)
    assert unexplained(method.fit(x).transform(x), flat) < 2e-3
    unseen, there = sheet(100, hole=True, seed=5)
    assert unexplained(method.fit(x).transform(unseen), there) < 5e-3


def test_weights_over_eight_orders_of_magnitude_still_lay_a_sheet_flat():
    weights = 10.0 ** (-8 * FLAT[:, 1] / 1.5)
    model = LTSA(2, left_out=0).fit(Trajectories([X], weights=[weights]))
    assert unexplained(model.transform(X), FLAT) < 0.02


def test_laplacian_eigenmaps_of_a_circle_are_its_first_waves():
    """On a circle eigenvalues are as squares of wave numbers, two and two: 1, 1, 4, 4."""
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    model = LaplacianEigenmaps(2, 6, left_out=0).fit(np.stack([np.cos(turn), np.sin(turn)], axis=1))
    order = np.arctan2(model.landmarks[:, 1], model.landmarks[:, 0])
    assert unexplained(model.coordinates, np.stack([np.cos(order), np.sin(order)], axis=1)) < 1e-10
    np.testing.assert_allclose(model.spectrum[:4] / model.spectrum[0], [1, 1, 4, 4], rtol=0.01)


def test_laplacian_eigenmaps_are_those_of_scikit_learn_at_landmarks():
    """Which counts a frame among its own neighbors, though not in the measure."""
    model = LaplacianEigenmaps(2, 10, left_out=0).fit(X)
    theirs = manifold.SpectralEmbedding(2, n_neighbors=11, affinity="nearest_neighbors", random_state=0)
    assert unexplained(model.coordinates, theirs.fit_transform(model.landmarks)) < 1e-4


def test_a_landmark_that_is_nobodys_neighbor_does_not_take_a_coordinate_of_hessian_maps_for_itself():
    x = np.concatenate([X, X[:3] * [1.8, 1.8, 1.0]])
    near = np.linalg.norm(x[:, None] - x, axis=2).argsort(axis=1)[:, 1:13]
    assert not np.isin([300, 301, 302], near[:300]).any()
    model = HessianEigenmaps(2, left_out=0).fit(x)
    assert unexplained(model.transform(X), FLAT) < 0.01


def test_kernel_pca_of_frames_on_a_plane_is_nearly_linear_unless_told_otherwise():
    """A kernel as wide as the cloud bends what is flat, and tells less of the frames than a wider one."""
    random = np.random.default_rng(4)
    x = np.concatenate(
        [random.uniform(-1, 1, (250, 2)) * [2.0, 1.0], random.normal(0, 0.02, (250, 3))], axis=1
    )
    bent = KernelPCA(2, width=float(np.median(scipy.spatial.distance.pdist(x))), left_out=0).fit(x)
    assert unexplained(bent.transform(x), x[:, :2]) > 0.01
    assert unexplained(KernelPCA(2, left_out=0).fit(x).transform(x), x[:, :2]) < 0.005


def test_independent_components_are_the_sources_that_were_mixed():
    random = np.random.default_rng(0)
    sources = np.stack([random.uniform(-1, 1, 4000), random.laplace(size=4000)], axis=1)
    mixed = sources @ np.array([[1.0, 0.6, 0.2], [-0.4, 1.0, 0.5]]) + 3.0
    found = ICA(2, left_out=0).fit(mixed).transform(mixed)
    theirs = decomposition.FastICA(2, random_state=0, whiten="unit-variance").fit_transform(mixed)
    overlap = np.abs(np.corrcoef(found.T, sources.T)[:2, 2:])
    # the Laplace source is the less Gaussian one
    assert overlap[0, 1] > 0.998
    assert overlap[1, 0] > 0.998
    assert np.abs(np.corrcoef(found.T, theirs.T)[:2, 2:]).max(axis=1).min() > 0.999


def test_weights_bring_back_the_sources_that_a_biased_sample_hides():
    """Frames kept with a probability and weighted by its inverse have the averages of all frames."""
    random = np.random.default_rng(1)
    sources = random.uniform(-1, 1, (40000, 2))
    chance = np.exp(-2.0 * np.abs(sources.sum(axis=1)))
    kept = random.random(len(sources)) < chance
    biased = Trajectories([sources[kept]], weights=[1 / chance[kept]])
    overlap = np.abs(np.corrcoef(ICA(2, left_out=0).fit(biased).transform(sources).T, sources.T)[:2, 2:])
    assert overlap.max(axis=1).min() > 0.99


def test_the_slope_of_the_sketch_map_stress_is_that_of_finite_differences():
    random = np.random.default_rng(0)
    y, x, weights = random.normal(size=(12, 2)), random.normal(size=(12, 4)), random.dirichlet(np.ones(12))
    sigmoid, target = (
        SketchSigmoid(1.3, 2.0, 8.0),
        SketchSigmoid(1.3, 8.0, 8.0)(Euclidean().between(x, x) + 1e-9),
    )
    error = scipy.optimize.check_grad(
        lambda flat: _stress_and_slope(flat.reshape(12, 2), target, sigmoid, weights)[0],
        lambda flat: _stress_and_slope(flat.reshape(12, 2), target, sigmoid, weights)[1].ravel(),
        y.ravel(),
    )
    assert error < 1e-6


@pytest.mark.long
def test_sketch_map_keeps_clusters_apart_that_stand_around_a_tetrahedron():
    """Four clusters in three dimensions have no projection that keeps them apart as evenly as they are."""
    random = np.random.default_rng(0)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 2.0
    labels = np.repeat(np.arange(4), 30)
    x = corners[labels] + random.normal(0, 0.3, (120, 3))
    model = SketchMap(2, sigma=2.5, left_out=0).fit(x)
    y = model.transform(x)
    centers = np.array([y[labels == k].mean(axis=0) for k in range(4)])
    within = max(np.linalg.norm(y[labels == k] - centers[k], axis=1).max() for k in range(4))
    assert scipy.spatial.distance.pdist(centers).min() > 2 * within
    mds = ClassicalMDS(2, left_out=0).fit(x).coordinates
    sigmoids = SketchSigmoid(2.5, 8, 8), SketchSigmoid(2.5, 2, 8)
    target = sigmoids[0](Euclidean().between(model.landmarks, model.landmarks) + 1e-9)
    assert model.spectrum[0] < 0.8 * np.sqrt(_stress_and_slope(mds, target, sigmoids[1], model.weights)[0])


def test_maximum_variance_unfolding_knows_that_no_other_does_much_better():
    """Of a noisy closed curve it starts far from where it ends, and finds the directions in which it can grow."""
    turn = np.random.default_rng(0).uniform(0, 2 * np.pi, 150)
    x = np.stack([np.cos(turn), np.sin(turn), np.sin(2 * turn)], axis=1)
    x += np.random.default_rng(1).normal(0, 0.02, x.shape)
    (note,) = MaximumVarianceUnfolding(2, left_out=0).fit(x).notes
    bound = float(note.split("by more than ")[1].removesuffix(" %"))
    assert 0 <= bound < 1


@pytest.mark.long
def test_maximum_variance_unfolding_finds_the_variances_of_the_flat_sheet():
    model = MaximumVarianceUnfolding(2, left_out=0).fit(X)
    np.testing.assert_allclose(model.spectrum[:2], np.sort(FLAT.var(axis=0))[::-1], rtol=0.05)
    assert model.spectrum[2:].sum() < 0.01 * model.spectrum[:2].sum()
    assert unexplained(model.transform(X), FLAT) < 0.01


def test_scores_are_those_of_landmarks_that_the_map_has_not_seen():
    scores = LTSA(2).fit(X).scores
    assert scores.frames == 30
    assert scores.trustworthiness > 0.99
    assert scores.geodesic_correlation > 0.85, (
        "both directions have unit variance, so that ways are not to scale"
    )
    assert (scores.errors < 0.1).all()


def test_slow_functions_are_found_in_the_coordinates_of_a_map():
    """A particle in a harmonic well along an arc forgets its place within ``-1 / ln 0.9`` frames."""
    random, place = np.random.default_rng(0), [0.0]
    for kick in random.normal(0, np.sqrt(1 - 0.9**2), 5000):
        place.append(0.9 * place[-1] + kick)
    turn = 0.35 * np.array(place)
    arc = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    model = VAC(3, dim=1, basis=LTSA(dim=1, landmarks=200, left_out=0)).fit(Trajectories([arc]))
    error = model.timescale_errors().error[0]
    assert abs(model.timescales[0] + 1 / np.log(0.9)) < 3 * error
    assert error < 2.0


@dataclass(frozen=True)
class Opaque:
    """Euclidean distances of which nothing else is known."""

    def between(self, x, y):
        return Euclidean().between(x, y)

    def embedded(self, x):
        return None


@pytest.mark.parametrize(
    "method",
    [LocallyLinearEmbedding, LTSA, HessianEigenmaps, Isomap, ClassicalMDS],
    ids=lambda cls: cls.__name__,
)
def test_distances_are_all_that_a_map_needs(method):
    x, unseen = X[:150], X[150:200]
    opaque, flat = (method(2, metric=metric, left_out=0).fit(x) for metric in (Opaque(), Euclidean()))
    up_to_signs(opaque.coordinates, flat.coordinates, 1e-5)
    assert unexplained(opaque.transform(unseen), flat.transform(unseen)) < 0.01
