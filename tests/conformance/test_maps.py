"""What every map of a manifold must do, tried on each method with a strip of paper bent around a cylinder."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.basis import Basis, Functions
from thalweg.collective_variables.manifold.embeddings.embedding import Embedding, ManifoldMethod
from thalweg.collective_variables.manifold.embeddings.extension import SmoothMap
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
from thalweg.collective_variables.manifold.embeddings.sketch_map import LeastStress, SketchMap
from thalweg.collective_variables.manifold.embeddings.tangent_spaces import LTSA
from thalweg.learning.storage import load_tree, save_tree
from thalweg.time_series.trajectories import Trajectories

EXAMPLES = {
    "KernelPCA": KernelPCA(left_out=0),
    "ClassicalMDS": ClassicalMDS(left_out=0),
    "MetricMDS": MetricMDS(left_out=0),
    "SketchMap": SketchMap(sweeps=1, left_out=0),
    "Isomap": Isomap(left_out=0),
    "LocallyLinearEmbedding": LocallyLinearEmbedding(left_out=0),
    "LTSA": LTSA(left_out=0),
    "HessianEigenmaps": HessianEigenmaps(left_out=0),
    "LaplacianEigenmaps": LaplacianEigenmaps(left_out=0),
    "MaximumVarianceUnfolding": MaximumVarianceUnfolding(left_out=0),
    "ICA": ICA(left_out=0),
}
"""A small example of each method."""

SLOW = {"MaximumVarianceUnfolding", "SketchMap"}
"""By descent, a second each time."""

LENGTHS = (70, 30, 20)
UNSEEN = 7


def strip(count: int, seed: int) -> np.ndarray:
    u, v = np.random.default_rng(seed).uniform((0.0, 0.0), (2.5, 1.0), (count, 2)).T
    return np.stack([np.cos(u), np.sin(u), v], axis=1)


def data() -> Trajectories:
    return Trajectories(np.split(strip(sum(LENGTHS), 0), np.cumsum(LENGTHS)[:-1]), names=("x", "y", "z"))


FRAMES = strip(UNSEEN, 1)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in EXAMPLES],
)
def method(request):
    return EXAMPLES[request.param]


@pytest.fixture(scope="module")
def model(method):
    return method.fit(data())


def spread(model: Embedding) -> float:
    return float(model.coordinates.std())


def test_every_map_has_an_example_here(public, without_example):
    found = public(ManifoldMethod, "collective_variables")
    assert len(found) > 10
    assert not without_example(found, EXAMPLES)


def test_it_is_a_basis_and_its_map_functions_of_frames(method, model):
    assert isinstance(method, Basis)
    assert isinstance(model, Functions)
    values = model(FRAMES)
    assert values.shape == (UNSEEN, method.dim) == (len(FRAMES), len(model.names))
    assert np.isfinite(values).all()
    assert len(set(model.names)) == method.dim
    assert model.coordinates.shape == (sum(LENGTHS), method.dim)
    np.testing.assert_allclose(model.weights.sum(), 1)


def test_a_landmark_is_put_where_the_map_has_it(model):
    """To rounding where the mathematics gives the extension; a fitted one smooths what is noise between neighbors, and
    misses no more than it says it does where a landmark is left out."""
    missed = np.sqrt(((model(model.landmarks) - model.coordinates) ** 2).mean(axis=0))
    if isinstance(model.extension, SmoothMap):
        assert (missed <= model.extension.errors).all()
        assert (missed < 0.1 * model.coordinates.std(axis=0)).all()
    elif isinstance(model.extension, LeastStress):
        assert (missed < 0.02 * model.coordinates.std(axis=0)).all(), (
            "a minimum found by descent is one nearly"
        )
    else:
        assert (missed < 1e-9 * model.coordinates.std(axis=0)).all()


def test_frames_in_whatever_form_give_the_same_coordinates_one_by_one_or_together(model):
    together = model.transform(FRAMES)
    alone = np.concatenate([model(FRAMES[k : k + 1]) for k in range(UNSEEN)])
    np.testing.assert_allclose(alone, together, rtol=1e-8, atol=1e-8 * spread(model))
    runs = model.transform(Trajectories([FRAMES[:4], FRAMES[4:]]))
    found = np.concatenate([chunk for _, _, chunk in runs.chunks()])
    np.testing.assert_allclose(found, together, rtol=1e-8, atol=1e-8 * spread(model))
    single = model(jnp.asarray(FRAMES, jnp.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, together, rtol=1e-3, atol=1e-3 * spread(model))


def test_derivatives_are_those_of_finite_differences_at_landmarks_and_elsewhere(model):
    step, way = 1e-5, np.random.default_rng(2).normal(size=(2 * UNSEEN, 3))
    frames = np.concatenate([FRAMES, model.landmarks[:UNSEEN]])
    with jax.enable_x64(True):
        values, slope = jax.jvp(model, (jnp.asarray(frames),), (jnp.asarray(way),))
    np.testing.assert_allclose(values, model(frames), rtol=1e-8, atol=1e-8 * spread(model))
    change = (model(frames + step * way) - model(frames - step * way)) / (2 * step)
    np.testing.assert_allclose(slope, change, rtol=1e-5, atol=1e-5 * np.abs(change).max())


def test_saved_and_loaded_it_gives_the_same_numbers(method, model, tmp_path):
    loaded = load_tree(save_tree(tmp_path / "map", model))
    np.testing.assert_array_equal(loaded(FRAMES), model(FRAMES))
    np.testing.assert_array_equal(loaded.spectrum, model.spectrum)
    assert loaded.names == model.names
    assert loaded.method == method


def test_a_frame_of_weight_two_is_that_frame_twice(method):
    x = strip(60, 3)
    twice = method.fit(np.concatenate([x, x[:20]]))
    weighted = method.fit(Trajectories([x], weights=[np.repeat([2.0, 1.0], [20, 40])]))
    np.testing.assert_allclose(weighted(FRAMES), twice(FRAMES), rtol=1e-6, atol=1e-6 * spread(twice))
    alike = method.fit(x)
    assert np.abs(alike.coordinates - twice.coordinates).max() > 1e-4 * spread(twice), "weights do nothing"


def test_frames_without_weight_do_not_matter(method):
    x = strip(60, 3)
    far = np.concatenate([x, x[:10] + 5.0])
    weighted = method.fit(Trajectories([far], weights=[np.repeat([1.0, 0.0], [60, 10])]))
    np.testing.assert_allclose(weighted(FRAMES), method.fit(x)(FRAMES), rtol=1e-6, atol=1e-6)


def test_it_shows_its_numbers(method, model):
    assert type(method).__name__ in repr(model)
    assert f"{sum(LENGTHS)} landmarks" in str(model)


def test_frames_of_other_features_are_refused(model):
    with pytest.raises(ValueError, match=r"needed is \(frames, 3\)"):
        model(np.zeros((4, 2)))


def test_frames_that_are_all_the_same_are_refused_with_their_number(method):
    with pytest.raises(ValueError, match="50 frames are 1 different"):
        method.fit(np.ones((50, 3)))


def test_weights_that_leave_three_effective_frames_are_refused(method):
    weights = np.repeat([1.0, 1e-9], [3, 117])
    with pytest.raises(ValueError, match=r"3\.0 effective frames of 120"):
        method.fit(Trajectories([strip(120, 0)], weights=[weights]))


def test_parts_with_no_way_between_are_refused_with_their_sizes(method):
    if not hasattr(method, "neighbors"):
        pytest.skip("asks for no neighbors")
    x = strip(120, 0)
    x[80:] += 50.0
    with pytest.raises(ValueError, match="2 parts of 80, 40"):
        method.fit(x)


def test_more_coordinates_than_there_can_be_are_refused(method):
    if not np.isfinite(method.most(3)):
        pytest.skip("its coordinates are not bounded by the features")
    with pytest.raises(ValueError, match="dim=4 coordinates of 3 features"):
        type(method)(dim=4).fit(strip(120, 0))


def test_raw_angles_are_told(method):
    turns = np.mod(np.cumsum(np.full((120, 2), (0.3, 0.7)), axis=0), 2 * np.pi)
    x = np.concatenate([turns + np.random.default_rng(0).normal(0, 1e-3, turns.shape), strip(120, 0)], axis=1)
    with pytest.warns(UserWarning, match="look like raw angles"):
        told = method.fit(x).notes
    assert "raw angles" in told[0]


def test_a_frame_that_is_not_a_number_is_named(method):
    x = strip(50, 0)
    x[7, 2] = np.nan
    with pytest.raises(ValueError, match="is nan in trajectory 0, frame 7"):
        method.fit(x)
