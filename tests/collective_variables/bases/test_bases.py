"""Bases: functions of frames that take NumPy and JAX arrays and have the gradients they should have."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.basis import Features, Functions, SideBySide, along
from thalweg.collective_variables.bases.fourier import Fourier
from thalweg.collective_variables.bases.indicators import Indicators
from thalweg.collective_variables.bases.kernels import Landmarks, RandomWaves
from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.time_series.trajectories import Trajectories

BASES = (
    Features(),
    Polynomials(3),
    Fourier(order=2),
    Landmarks(20),
    RandomWaves(30),
    SideBySide((Features(), Landmarks(10))),
)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    return Trajectories([random.standard_normal((n, 3)) for n in (150, 60)], names=["a", "b", "c"])


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_functions_have_names_and_are_the_same_in_numpy_and_jax(basis, data):
    functions = basis.fit(data)
    frames = data.blocks[0][:7]
    values = functions(frames)
    assert isinstance(functions, Functions)
    assert values.shape == (7, len(functions.names))
    assert len(set(functions.names)) == len(functions.names) or isinstance(basis, SideBySide)
    with jax.enable_x64(True):
        other = functions(jnp.asarray(frames))
    np.testing.assert_allclose(np.asarray(other), values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_gradients_are_those_of_finite_differences(basis, data):
    functions = basis.fit(data)
    frame, step = data.blocks[0][3], 1e-6
    with jax.enable_x64(True):
        gradient = jax.jacfwd(lambda x: functions(x[None])[0])(jnp.asarray(frame))
    for i in range(3):
        shift = step * np.eye(3)[i]
        numeric = (functions((frame + shift)[None]) - functions((frame - shift)[None]))[0] / (2 * step)
        np.testing.assert_allclose(np.asarray(gradient[:, i]), numeric, rtol=1e-5, atol=1e-7)


def test_a_trajectory_through_functions_is_evaluated_once_per_frame(data):
    read = []

    class Counting:
        names = ("x",)

        def __call__(self, frames):
            read.append(len(frames))
            return frames[:, :1]

    followed = along(data, Counting())
    assert followed.lengths.tolist() == [150, 60]
    pairs = sum(len(part.x) for part in followed.pairs(_whole(followed, 50), 50, size=30))
    assert (pairs, sum(read)) == (110, 210)


def _whole(data, lagtime):
    from thalweg.time_series.blocks import segments

    return segments(np.maximum(data.lengths - lagtime, 0), 1)


def test_hermite_polynomials_of_normal_features_are_orthonormal():
    x = np.random.default_rng(1).standard_normal((400_000, 2))
    values = Polynomials(3).fit(Trajectories([x]))(x)
    np.testing.assert_allclose(values.T @ values / len(x), np.eye(values.shape[1]), atol=0.03)


def test_waves_do_not_see_whole_periods(data):
    functions = Fourier(periods=[2.0, 3.0, 360.0], order=3, together=3).fit(data)
    frames = data.blocks[0][:5]
    np.testing.assert_allclose(functions(frames + np.array([2.0, -3.0, 720.0])), functions(frames), atol=1e-9)
    assert "cos(2 a - b)" in functions.names


def test_kernels_do_not_depend_on_units(data):
    meters = Trajectories([1e-9 * block for block in data.blocks])
    np.testing.assert_allclose(
        Landmarks(15).fit(data)(data.blocks[0]), Landmarks(15).fit(meters)(meters.blocks[0]), atol=1e-9
    )


def test_what_cannot_be_a_basis_is_explained(data):
    with pytest.raises(ValueError, match="12340 products up to degree 40"):
        Polynomials(40).fit(data)
    with pytest.raises(ValueError, match="210 different frames cannot hold 1000 landmarks"):
        Landmarks(1000).fit(data)
    with pytest.raises(ValueError, match="got 2 periods for 3 features"):
        Fourier(periods=[1.0, 2.0]).fit(data)
    with pytest.raises(ValueError, match="got 3 features, centers have 2"):
        Indicators(np.zeros((4, 2))).fit(data)
