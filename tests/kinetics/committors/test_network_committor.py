"""Committors by networks: what is refused, what is told, and rates from their gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.geometry.variables import Coordinates
from thalweg.kinetics.committors.gradient_rate import gradient_rates
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.losses import DirichletLoss, SemigroupLoss
from thalweg.kinetics.committors.network_committor import CommittorModel, NetworkCommittor
from thalweg.kinetics.reactions.regions import Ellipsoid, Intervals
from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.sampling.model_variable import model_variable
from thalweg.time_series.trajectories import Trajectories

LOW, HIGH = Intervals((-np.inf,), (-1.0,), columns=(0,)), Intervals((1.0,), (np.inf,), columns=(0,))
FAST = Training(hidden=(8,), steps=20, restarts=1)
RANDOM = np.random.default_rng(0)


def model_of(networks, a=LOW, b=HIGH):
    """A committor of two features with random weights."""
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    members = tuple(LogitNetwork.init(scale, (8,), a, b, jax.random.key(k)) for k in range(networks))
    return CommittorModel(members, np.zeros(networks), 100.0, np.zeros((1, 2)), ("x", "y"))


def linear_committor():
    """The committor (1 + x) / 2, whose logit is that of the distances alone."""
    layer = LinearLayer(jnp.zeros((2, 1)), jnp.zeros(1))
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    network = LogitNetwork(scale, Perceptron((layer,), "tanh"), LOW, HIGH)
    return CommittorModel((network,), np.zeros(1), 100.0, np.zeros((1, 2)), ("x", "y"))


def test_a_flat_landscape_has_the_rates_of_free_diffusion():
    # D = 0.5 between walls at -2 and 2 beside an idle column: nu = D <(1/2)^2 between> = D / 8, <q> = 1/2
    data = Trajectories(
        [np.stack([RANDOM.uniform(-2, 2, 4000), RANDOM.normal(size=4000)], axis=1) for _ in range(5)]
    )
    rates = gradient_rates(linear_committor(), data, 0.5)
    assert abs(rates.flux.value - 0.0625) < 4 * rates.errors[0]
    assert abs(rates.forward.value - 0.125) < 4 * rates.errors[1]
    assert rates.errors[0] < 0.002


def test_the_error_is_the_spread_of_the_members_and_the_mean_holds_the_boundary_values():
    model, frames = model_of(3), np.array([[-1.5, 0.0], [0.2, 1.0], [1.0, 0.0]])
    each = np.array([member(frames)[:, 0] for member in model.members])
    np.testing.assert_allclose(model.transform(frames)[:, 0], each.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(model.error(frames), each.std(axis=0, ddof=1), atol=1e-7)
    assert model.transform(frames)[[0, 2], 0].tolist() == [0.0, 1.0]


def test_a_committor_is_saved_and_is_a_variable_of_positions_as_its_logit_is(tmp_path):
    model = model_of(2, Ellipsoid([0.0, 0.0], [0.2, 0.3]), Ellipsoid([1.0, 1.0], 0.2))
    read = CommittorModel.load(model.save(tmp_path / "committor"))
    places = RANDOM.normal(0, 1, (1, 2, 7)).astype(np.float32)
    for one, other in ((read, model), (read.logit, model.logit)):
        values = np.asarray(model_variable(one, Coordinates([0], dims=2))(places))
        np.testing.assert_allclose(values[0], other.transform(places[0].T)[:, 0], atol=1e-6)


def between(count=400):
    return RANDOM.uniform(-0.99, 0.99, (count, 1))


@pytest.mark.parametrize(
    ("blocks", "weights", "says"),
    [
        ([np.vstack([between(), [[-2.0]]])], None, "set B holds none of 401 frames"),
        ([np.array([[-2.0]] * 30 + [[2.0]] * 30)], None, "none of 60 frames lies between A and B"),
        (
            [np.vstack([between(), [[-2.0], [2.0]]])],
            [np.r_[np.full(397, 1e-12), np.ones(3), 1.0, 1.0]],
            "leave 3.0 effective ones, needed are 20",
        ),
    ],
)
def test_data_that_tell_next_to_nothing_are_refused_with_numbers(blocks, weights, says):
    with pytest.raises(ValueError, match=says):
        NetworkCommittor(LOW, HIGH, DirichletLoss(), FAST).fit(Trajectories(blocks, weights=weights))


def test_sets_that_overlap_masks_single_frames_and_metrics_out_of_place_are_refused():
    data = Trajectories([np.vstack([between(), [[-2.0], [2.0]]])])
    wide = Intervals((-np.inf,), (2.5,), columns=(0,))
    with pytest.raises(ValueError, match="A and B overlap: 1 of 402 frames are in both"):
        NetworkCommittor(wide, HIGH, DirichletLoss(), FAST).fit(data)
    with pytest.raises(ValueError, match="set A is given by masks"):
        NetworkCommittor([np.zeros(402, bool)], HIGH, DirichletLoss(), FAST).fit(data)
    frames = Trajectories([frame[None] for frame in data[0]])
    with pytest.raises(ValueError, match="pairs need trajectories, not single frames"):
        NetworkCommittor(LOW, HIGH, SemigroupLoss(5), FAST).fit(frames)
    with pytest.raises(ValueError, match="only DirichletLoss has gradients"):
        NetworkCommittor(LOW, HIGH, SemigroupLoss(5), FAST).fit(data, np.eye(1))
    with pytest.raises(ValueError, match=r"metrics of shape \(3, 3\)"):
        NetworkCommittor(LOW, HIGH, DirichletLoss(), FAST).fit(data, np.eye(3))
