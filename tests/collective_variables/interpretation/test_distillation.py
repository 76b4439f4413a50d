"""Learned variables said again in a few named features."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.bases.kernels import Landmarks
from thalweg.collective_variables.interpretation.distillation import Distillation
from thalweg.collective_variables.interpretation.feature_selection import Lasso, OrthogonalMatchingPursuit
from thalweg.collective_variables.interpretation.importance import loading_importance
from thalweg.collective_variables.linear.vac import VAC
from thalweg.time_series.trajectories import Trajectories

BOTH = pytest.mark.parametrize(
    "selection", [OrthogonalMatchingPursuit(), Lasso()], ids=lambda s: type(s).__name__
)


@pytest.fixture(scope="module")
def features():
    """Fifty correlated features in all units, one constant, one a copy of another."""
    random = np.random.default_rng(0)
    x = random.standard_normal((5000, 50)) @ (np.eye(50) + 0.1 * random.standard_normal((50, 50)))
    x *= 10.0 ** random.uniform(-2, 2, 50)
    x[:, 49] = 1.0
    scale = x.std(axis=0)
    return Trajectories([x[:2000], x[2000:]], names=[f"d{k}" for k in range(50)]), scale


def planted(scale):
    def variable(frames):
        y = frames / np.where(scale > 0, scale, 1.0).astype(frames.dtype)
        z = 2.0 + y[:, 3:4] - 0.7 * y[:, 7:8] + 0.5 * y[:, 11:12]
        return 1 / (1 + frames.__array_namespace__().exp(-z))

    return variable


@BOTH
def test_the_features_that_make_a_variable_are_found(selection, features):
    data, scale = features
    model = Distillation(selection=selection).fit(data, planted(scale))
    assert model.supports[0].tolist() == [3, 7, 11]
    assert set(np.flatnonzero(model.loadings[:, 0])) == {3, 7, 11}
    ratio = model.loadings[[3, 7, 11], 0] * scale[[3, 7, 11]]
    np.testing.assert_allclose(ratio / ratio[0], [1, -0.7, 0.5], atol=0.05)
    assert loading_importance(model, data).shares[:, 0].argmax() == 3
    assert "(d3)" in str(model)


def test_the_error_told_is_that_on_data_never_seen(features):
    data, scale = features
    x, variable = np.concatenate(data.blocks), planted(scale)
    model = Distillation(features=3).fit(x[:2500], variable)
    exact, found = variable(x[2500:]), model.transform(x[2500:])
    unseen = ((found - exact) ** 2).mean() / exact.var()
    both = np.sqrt(2) * model.standard_errors[0][3]
    assert abs(unseen - model.errors[0][3]) < 3 * both


def test_pure_noise_is_given_no_features():
    random = np.random.default_rng(2)
    x, noise = random.standard_normal((2000, 30)), random.standard_normal((2000, 1))
    model = Distillation().fit(Trajectories([x]), Trajectories([noise]))
    assert len(model.supports[0]) == 0
    np.testing.assert_allclose(model.transform(x), noise.mean())


@BOTH
def test_features_that_say_the_same_do_not_disturb(selection, features):
    data, scale = features
    doubled = Trajectories([np.concatenate([block, 3 * block[:, :10]], axis=1) for block in data.blocks])
    values = [planted(scale)(block) for block in data.blocks]
    model = Distillation(selection=selection, most=60).fit(doubled, values)
    assert len(model.supports[0]) == 3
    assert {k if k < 50 else k - 50 for k in model.supports[0].tolist()} == {3, 7, 11}


def test_a_variable_of_several_coordinates_is_distilled_one_by_one(features):
    data, scale = features

    def variable(frames):
        y = frames / np.where(scale > 0, scale, 1.0)
        return np.stack([np.tanh(y[:, 5]), y[:, 1] + 0.5 * y[:, 2]], axis=1)

    model = Distillation().fit(data, variable)
    assert [support.tolist() for support in model.supports] == [[5], [1, 2]]
    assert model.errors[1][2] < 1e-9
    everywhere = model.transform(data)
    np.testing.assert_allclose(everywhere.blocks[0], model.transform(data.blocks[0]), rtol=1e-9)


def test_gradients_keep_forces_right_along_features_that_hardly_vary():
    """Values alone cannot tell the slope along a feature that varies little and only together with another."""
    random = np.random.default_rng(3)
    x = random.standard_normal((4000, 3))
    x[:, 1] = 0.99 * x[:, 0] + 0.02 * random.standard_normal(4000)

    def variable(frames):
        return frames[:, :1] - 0.5 * frames[:, 1:2] + 0.3 * frames[:, :1] ** 2

    by_values = Distillation(features=2).fit(x, variable)
    by_both = Distillation(features=2, gradients=1.0).fit(x, variable)
    wanted = np.array([1.0, -0.5])
    errors = [np.abs(model.loadings[:2, 0] - wanted).max() for model in (by_values, by_both)]
    assert errors[1] < 0.05 < errors[0]


def test_a_slow_kernel_variable_is_told_by_the_features_behind_it():
    random = np.random.default_rng(4)
    slow = np.zeros(15000)
    for t in range(1, len(slow)):
        slow[t] = 0.99 * slow[t - 1] + 0.14 * random.standard_normal()
    x = random.standard_normal((15000, 4))
    x[:, 2] += 2 * slow
    data = Trajectories([x], names=["a", "b", "c", "d"])
    learned = VAC(10, dim=1, basis=Landmarks(80, width=3.0)).fit(data)
    model = Distillation(most=4).fit(data, learned.transform)
    assert model.supports[0][0] == 2
    found = np.corrcoef(model.transform(x)[:, 0], learned.transform(x)[:, 0])[0, 1]
    assert found**2 > 0.9
    gradient = jax.grad(lambda at: model.transform(at[None])[0, 0])(jnp.zeros(4))
    np.testing.assert_allclose(gradient, model.loadings[:, 0], rtol=1e-5)


def test_what_cannot_be_distilled_is_refused():
    x = np.random.default_rng(5).standard_normal((100, 3))
    with pytest.raises(ValueError, match="does not vary"):
        Distillation().fit(x, lambda frames: np.ones((len(frames), 1)))
    with pytest.raises(ValueError, match="one row of values for each frame"):
        Distillation().fit(x, x[:50, :1])
    with pytest.raises(ValueError, match="gradients of plain values"):
        Distillation(gradients=1.0).fit(x, x[:, :1])
    with pytest.raises(ValueError, match="frames, dim"):
        Distillation().fit(x, lambda frames: frames[:, 0])
    with pytest.raises(ValueError, match="at least two"):
        Distillation(n_blocks=1)
