"""Networks find the slow functions that linear combinations of features cannot make."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.linear.pca import PCA
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.neural.autoencoders import Autoencoder, VariationalAutoencoder
from thalweg.collective_variables.neural.slow_networks import DCCA, SRV, VDE, TimeLaggedAutoencoder, VAMPnet
from thalweg.time_series.blocks import segments
from thalweg.time_series.cross_validation import Folds, ShuffleSplit, cross_validate
from thalweg.time_series.trajectories import Trajectories
from thalweg.time_series.windows import Windows

QUICK = {"hidden": (16,), "steps": 150, "restarts": 2, "batch": 1024, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def hidden():
    """A slow hidden sign that shows only in whether two fast signs agree, which no linear function sees."""
    random = np.random.default_rng(0)
    state = (np.cumsum(random.random((4, 6000)) < 0.01, axis=1) % 2).astype(bool)
    sign = random.choice([-1.0, 1.0], state.shape)
    x = np.stack([sign, np.where(state, sign, -sign)], axis=-1)
    return Trajectories(list(x + 0.2 * random.standard_normal(x.shape)), dt=0.5), state


EXACT = -5 * 0.5 / np.log((1 - 2 * 0.01) ** 5)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(VAMPnet(lagtime=5, dim=1, **QUICK), id="VAMPnet"),
        pytest.param(SRV(lagtime=5, dim=1, **QUICK), id="SRV", marks=pytest.mark.long),
        pytest.param(DCCA(lagtime=5, dim=1, **QUICK), id="DCCA", marks=pytest.mark.long),
    ],
)
def test_networks_of_slowness_see_what_linear_functions_cannot(method, hidden):
    data, state = hidden
    assert np.nan_to_num(TICA(5, dim=1).fit(data).timescales[0]) < 0.2 * EXACT
    model = method.fit(data)
    error = model.timescale_errors(samples=40).error[0]
    assert 0.65 * EXACT < model.timescales[0] < EXACT + 3 * error
    found = np.concatenate(model.transform(data).blocks)[:, 0]
    assert abs(np.corrcoef(found, state.ravel())[0, 1]) > 0.97
    assert len(model.functions.losses) == 2


def test_a_learned_variable_has_gradients(hidden):
    model = SRV(lagtime=5, dim=1, hidden=(8,), steps=20, restarts=1).fit(hidden[0])
    at = jnp.array([1.2, 0.3])
    gradient = jax.grad(lambda x: model.transform(x[None])[0, 0])(at)
    step = np.array([1e-2, 0.0])
    numeric = (model.transform((at + step)[None]) - model.transform((at - step)[None]))[0, 0] / 2e-2
    assert abs(gradient[0] - numeric) < 0.02 * abs(numeric) + 1e-3


def test_memberships_add_up_to_one(hidden):
    model = VAMPnet(lagtime=5, dim=1, output="memberships", **QUICK).fit(hidden[0])
    memberships = model.functions(hidden[0].blocks[0])
    assert memberships.shape == (6000, 2)
    np.testing.assert_allclose(memberships.sum(axis=1), 1, atol=1e-5)
    assert abs(model.timescales[0] / EXACT - 1) < 0.3


def test_scores_are_cross_validated_like_those_of_any_method(hidden):
    method = VAMPnet(lagtime=5, dim=1, hidden=(16,), steps=150, restarts=1, batch=1024, learning_rate=0.02)
    result = cross_validate(method, hidden[0], ShuffleSplit(2))
    assert abs(result.mean - (1 + 0.98**10)) < 0.1


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(TimeLaggedAutoencoder(lagtime=5, dim=1, **QUICK), id="TimeLaggedAutoencoder"),
        pytest.param(VDE(lagtime=5, dim=1, **QUICK), id="VDE", marks=pytest.mark.long),
    ],
)
def test_lagged_autoencoders_follow_a_slow_curve(method):
    """A slow angle on a half circle with fast noise: what can be told of later frames is the angle."""
    random, angle = np.random.default_rng(1), np.zeros(10_000)
    for t in range(1, len(angle)):
        angle[t] = 0.995 * angle[t - 1] + 0.08 * random.standard_normal()
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * random.standard_normal((len(angle), 2))
    model = method.fit(Trajectories([x]))
    found = model.transform(x)[:, 0]
    assert abs(np.corrcoef(found, angle)[0, 1]) > 0.9


@pytest.mark.parametrize(
    "method",
    [Autoencoder(dim=1, **QUICK), VariationalAutoencoder(dim=1, **QUICK)],
    ids=lambda m: type(m).__name__,
)
def test_autoencoders_find_the_place_on_a_curve(method):
    random = np.random.default_rng(2)
    place = random.uniform(-1, 1, 6000)
    x = np.stack([place, place**2, np.sin(2 * place)], axis=1) + 0.02 * random.standard_normal((6000, 3))
    found = method.fit(Trajectories([x])).transform(x)[:, 0]
    ranks = np.argsort(np.argsort(found)), np.argsort(np.argsort(place))
    assert abs(np.corrcoef(*ranks)[0, 1]) > 0.98


@pytest.mark.long
def test_a_curve_is_given_back_by_one_curved_value_better_than_by_one_straight_one():
    """In frames left out: of a parabola of unit variances one principal component gives back half."""
    place = np.random.default_rng(2).uniform(-1, 1, 3000)
    x = np.stack([place, place**2], axis=1)
    x = Trajectories([(x - x.mean(axis=0)) / x.std(axis=0)])
    method = Autoencoder(dim=1, hidden=(16,), steps=150, restarts=1, learning_rate=0.02)
    curved, straight = (cross_validate(each, x, Folds(2)) for each in (method, PCA(1)))
    assert 0.45 < straight.mean < 0.51
    assert curved.mean > straight.mean + 0.1, "so short a training gives back two thirds"
    model = method.fit(x)
    missed = np.asarray(model.given_back(x.blocks[0])) - x.blocks[0]
    assert model.score(x) == pytest.approx(1 - (missed**2).mean(), abs=1e-3)


@pytest.mark.long
def test_gradients_of_a_bottleneck_are_those_of_finite_differences():
    """In double precision, by the same network written out."""
    x = np.random.default_rng(3).normal(size=(200, 4))
    model = Autoencoder(dim=2, hidden=(8,), steps=10, restarts=1).fit(x)
    scaling, layers = model.functions.scaling, model.functions.network.layers

    def values(at):
        scaled = (at - np.asarray(scaling.mean, float)) / np.asarray(scaling.deviation, float)
        first, last = ((np.asarray(each.weight, float), np.asarray(each.bias, float)) for each in layers)
        return np.tanh(scaled @ first[0] + first[1]) @ last[0] + last[1]

    slopes = jax.jacobian(lambda at: model.transform(at[None])[0])(jnp.asarray(x[0], jnp.float32))
    ways = 1e-5 * np.eye(4)
    change = np.stack([(values(x[0] + way) - values(x[0] - way)) / 2e-5 for way in ways], axis=1)
    np.testing.assert_allclose(slopes, change, atol=1e-5 * np.abs(change).max())


def test_equal_seeds_give_equal_variables_and_a_killed_run_goes_on(hidden, tmp_path):
    data = Trajectories(hidden[0].blocks[:2], dt=0.5)
    settings = {"lagtime": 5, "dim": 1, "hidden": (8,), "steps": 40, "restarts": 2, "batch": 512}
    first = VAMPnet(**settings).fit(data)

    class Killed(Exception):
        pass

    def kill(text, done):
        if done > 0.7:
            raise Killed

    with pytest.raises(Killed):
        VAMPnet(**settings, checkpoint=tmp_path, progress=kill).fit(data)
    resumed = VAMPnet(**settings, checkpoint=tmp_path).fit(data)
    np.testing.assert_array_equal(first.functions.losses, resumed.functions.losses)
    np.testing.assert_array_equal(first.timescales, resumed.timescales)


class Chunks:
    """A trajectory that can only be read from its start."""

    def __init__(self, frames):
        self.frames = frames

    def __iter__(self):
        return iter(np.array_split(self.frames, 7))


@pytest.mark.parametrize("lagtime", [1, 10, 300])
@pytest.mark.parametrize("kind", [np.asarray, Chunks])
def test_windows_hold_every_pair_once(kind, lagtime):
    runs = [np.arange(1000.0)[:, None], 2000 + np.arange(333.0)[:, None], 5000 + np.arange(9.0)[:, None]]
    data = Trajectories([kind(run) for run in runs])
    used = np.maximum(data.lengths - lagtime, 0)
    seen = []
    for batch in Windows(data, segments(used, 1), lagtime, batch=8)(np.random.default_rng(0)):
        first, last, weights = batch.ends(batch.frames)
        np.testing.assert_array_equal(np.asarray(last - first)[np.asarray(weights) > 0], lagtime)
        seen.append(np.asarray(first)[np.asarray(weights) > 0, 0])
    expected = np.concatenate([run[: max(len(run) - lagtime, 0), 0] for run in runs])
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), expected)


def test_data_that_cannot_be_divided_are_refused():
    with pytest.raises(ValueError, match="divided in two"):
        VAMPnet(lagtime=1, dim=1, restarts=1).fit(Trajectories([np.arange(2.0)[:, None]]))
