"""What every basis must do, tried on each with runs of unequal lengths of three features."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg.collective_variables
from thalweg.collective_variables.bases.basis import Basis, Features, Functions, SideBySide, Then
from thalweg.collective_variables.bases.fourier import Fourier
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.bases.kernels import Landmarks, RandomWaves
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.memberships.stretched_memberships import Stretched
from thalweg.collective_variables.neural.learned_basis import LearnedBasis, Training
from thalweg.collective_variables.neural.slowness import VAMPScore
from thalweg.learning.storage import load_tree, save_tree
from thalweg.time_series.trajectories import Trajectories

LENGTHS = (300, 90, 140)
NAMES = ("a", "b", "c")
CENTERS = np.array([[-1.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, -1.0, 1.0]])


def data():
    rng = np.random.default_rng(0)
    return Trajectories([rng.normal(0, 1, (length, 3)) for length in LENGTHS], names=NAMES)


EXAMPLES = {
    "Features": Features(),
    "Polynomials": Polynomials(2),
    "Fourier": Fourier(order=2),
    "Landmarks": Landmarks(6),
    "RandomWaves": RandomWaves(5),
    "Indicators": Indicators(CENTERS),
    "SideBySide": SideBySide((Features(), Landmarks(4))),
    "Then": Then(Polynomials(2), RandomWaves(4)),
    "Stretched": Stretched(Indicators(CENTERS)),
    "LearnedBasis": LearnedBasis(VAMPScore(2), 3, Training(hidden=(4,), steps=10, restarts=1)),
}
"""A small example of each basis."""

SINGLE = {"LearnedBasis"}
"""Networks, which compute in 32 bits whatever they are given."""

FRAMES = np.random.default_rng(1).normal(0, 0.8, (7, 3))


@pytest.fixture(scope="module", params=EXAMPLES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def basis(name):
    return EXAMPLES[name]


@pytest.fixture(scope="module")
def functions(basis):
    return basis.fit(data())


def test_every_basis_has_an_example_here(public, without_example):
    """A basis is what is fitted to `Trajectories` alone; methods of estimation take data in any form."""
    room = thalweg.collective_variables
    found = {
        name
        for name in public(Basis, "collective_variables")
        if callable(fit := getattr(getattr(room, name), "fit", None))
        and list(inspect.signature(fit).parameters.values())[1].annotation == "Trajectories"
    }
    assert len(found) > 5
    assert not without_example(found, EXAMPLES)


def test_it_is_a_basis_of_functions_with_names(basis, functions):
    assert isinstance(basis, Basis)
    assert isinstance(functions, Functions)
    values = functions(FRAMES)
    assert values.shape == (len(FRAMES), len(functions.names))
    assert np.isfinite(values).all()
    assert all(isinstance(name, str) for name in functions.names)


def test_values_have_the_precision_of_the_frames_or_of_a_network(name, functions):
    assert functions(FRAMES.astype(np.float32)).dtype == np.float32
    assert functions(FRAMES).dtype == (np.float32 if name in SINGLE else np.float64)
    assert functions(jnp.asarray(FRAMES, jnp.float32)).dtype == jnp.float32


def test_every_frame_is_evaluated_by_itself(name, functions):
    together = functions(FRAMES)
    alone = np.concatenate([functions(FRAMES[k : k + 1]) for k in range(len(FRAMES))])
    tolerance = 1e-6 if name in SINGLE else 1e-9
    np.testing.assert_allclose(alone, together, rtol=tolerance, atol=tolerance)


def test_jax_finds_the_same_values_compiled_or_not(functions):
    with jax.enable_x64(True):
        frames = jnp.asarray(FRAMES)
        np.testing.assert_allclose(functions(frames), functions(FRAMES), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            jax.jit(functions.__call__)(frames), functions(FRAMES), rtol=1e-6, atol=1e-6
        )


def test_derivatives_are_those_of_finite_differences(name, functions):
    """The step of 32-bit numbers leaves an error of the order of 1e-7 / step and of its square."""
    step, tolerance = (1e-2, 1e-3) if name in SINGLE else (1e-5, 1e-5)
    way = np.random.default_rng(2).normal(size=FRAMES.shape)
    with jax.enable_x64(True):
        _, slope = jax.jvp(functions, (jnp.asarray(FRAMES),), (jnp.asarray(way),))
        before, after = (np.asarray(functions(jnp.asarray(FRAMES + s * step * way)), float) for s in (-1, 1))
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=tolerance, atol=tolerance)


def test_equal_data_give_equal_functions_and_stay_as_they_were(basis, functions):
    given = data()
    again = basis.fit(given)
    np.testing.assert_array_equal(again(FRAMES), functions(FRAMES))
    for block, kept in zip(given.blocks, data().blocks):
        np.testing.assert_array_equal(block, kept)


def test_saved_and_loaded_they_give_the_same_numbers(functions, tmp_path):
    loaded = load_tree(save_tree(tmp_path / "functions", functions))
    np.testing.assert_array_equal(loaded(FRAMES), functions(FRAMES))
    assert tuple(loaded.names) == tuple(functions.names)


def test_settings_are_saved_with_what_they_made(basis, tmp_path):
    loaded = load_tree(save_tree(tmp_path / "basis", basis))
    np.testing.assert_array_equal(loaded.fit(data())(FRAMES), basis.fit(data())(FRAMES))
