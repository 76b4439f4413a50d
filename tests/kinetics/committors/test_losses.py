"""Losses of committors: exact on a chain whose stopped transition probabilities are known, at any lag."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.losses import CommittorExamples, DirichletLoss, ReversibleLoss, SemigroupLoss
from thalweg.kinetics.committors.network_committor import NetworkCommittor
from thalweg.kinetics.committors.stopped_pairs import stopped_ends
from thalweg.kinetics.reactions.regions import Ellipsoid, Intervals
from thalweg.testsystems.chain import (
    chain_committor,
    chain_stationary_distribution,
    hop_chain,
    sampled_states,
)
from thalweg.testsystems.wells import PrinzPotential
from thalweg.time_series.trajectories import Trajectories

POINTS = np.linspace(-1, 1, 40)
CHAIN = hop_chain(PrinzPotential(), POINTS)
IN_A, IN_B = POINTS < -0.6, POINTS > 0.6
EXACT = chain_committor(CHAIN, IN_A, IN_B)
LAG = 25


class Table(eqx.Module):
    """A committor as one logit for each state, instead of a network."""

    table: jax.Array
    scaling: Any = eqx.field(static=True)

    def logits(self, frames):
        return self.table[frames[:, 0].astype(int)]

    def probabilities(self, frames):
        state = frames[:, 0].astype(int)
        return jnp.where(IN_A[state], 0.0, jnp.where(IN_B[state], 1.0, jax.nn.sigmoid(self.table[state])))


def table_of(committor):
    inside = np.clip(committor, 1e-9, 1 - 1e-9)
    return Table(jnp.asarray(np.log(inside / (1 - inside)), jnp.float32), lambda frames: frames / len(POINTS))


def all_pairs(judged=False):
    """Every pair of a start outside and a stopped end, weighted by its probability at equilibrium."""
    stopped = np.where((IN_A | IN_B)[:, None], np.eye(len(CHAIN)), CHAIN)
    joint = chain_stationary_distribution(CHAIN)[:, None] * np.linalg.matrix_power(stopped, LAG)
    joint[IN_A | IN_B] = 0
    first, last = np.nonzero(joint)
    arrays = (first[:, None], last[:, None], ~(IN_A | IN_B)[last], joint[first, last])
    return CommittorExamples(
        *(jnp.asarray(array, jnp.float32) for array in arrays[:2]), *map(jnp.asarray, arrays[2:]), judged
    )


@pytest.mark.parametrize(
    "loss", [SemigroupLoss(LAG), ReversibleLoss(LAG)], ids=lambda loss: type(loss).__name__
)
def test_the_gradient_of_a_loss_with_a_lag_vanishes_at_the_committor_and_not_at_another_function(loss):
    pairs = all_pairs()

    def slope(committor):
        return float(
            jnp.abs(eqx.filter_grad(lambda table: loss(table, pairs))(table_of(committor)).table).max()
        )

    wrong = np.where(IN_A, 0.0, np.where(IN_B, 1.0, np.linspace(0.05, 0.95, len(POINTS))))
    assert slope(EXACT) < 1e-4 * slope(wrong)


def test_what_judges_an_epoch_is_least_at_the_committor():
    loss, pairs = SemigroupLoss(LAG), all_pairs(judged=True)
    values = [
        float(loss(table_of(EXACT + s * np.sin(np.pi * EXACT)), pairs)) for s in (-0.2, -0.1, 0.0, 0.1, 0.2)
    ]
    # of all pairs i = j is taken out, the same for all of them to first order
    assert int(np.argmin(values)) == 2


def test_pairs_near_the_end_of_a_trajectory_do_not_count_only_where_they_enter_a_set():
    random = np.random.default_rng(0)
    runs = sampled_states(CHAIN, 3000, 2 * LAG, (~(IN_A | IN_B)).astype(float), random)
    where = np.where(IN_A, 1, np.where(IN_B, 2, 0))[runs].ravel()
    starts, ends = stopped_ends(where, np.repeat(np.arange(len(runs)), 2 * LAG), LAG)
    values = EXACT[runs.ravel()]
    change = values[ends] - values[starts]
    # a martingale: no change on average from any start, whatever its place in the trajectory
    for part in np.array_split(np.argsort(values[starts]), 4):
        by_run = np.bincount(starts[part] // (2 * LAG), change[part], minlength=len(runs))
        assert abs(by_run.mean()) < 4 * by_run.std() / np.sqrt(len(runs))


def test_a_shot_cut_off_where_it_entered_a_set_gives_the_pairs_of_one_that_went_on():
    whole = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    run = np.repeat([0, 1], 5)
    cut = np.array([True, True, True, True, False, True, True, True, True, True])
    full = stopped_ends(whole, run, 2)
    stopped = stopped_ends(whole[cut], run[cut], 2)
    number = np.cumsum(cut) - 1
    for ends_full, ends_cut in zip(full, stopped):
        np.testing.assert_array_equal(number[ends_full], ends_cut)


def test_a_network_is_zero_on_a_and_one_on_b_and_has_gradients_everywhere():
    a, b = Ellipsoid((0.0, 0.0), 0.3), Intervals((1.0,), (np.inf,), columns=(0,))
    scale = Scaling(np.zeros(2, np.float32), np.ones(2, np.float32))
    network = LogitNetwork.init(scale, (8,), a, b, jax.random.key(0))
    frames = jnp.array(
        [[0.0, 0.0], [0.1, 0.1], [0.3, 0.0], [0.31, 0.0], [0.999999, 3.0], [1.0, 0.0], [1.5, 2.0]]
    )
    values = network(frames)[:, 0]
    assert values[:3].tolist() == [0, 0, 0]
    assert values[5:].tolist() == [1, 1]
    assert 0 < values[3] < values[4] < 1
    slopes = jax.vmap(jax.grad(lambda x: network(x[None])[0, 0]))(frames)
    assert bool(jnp.isfinite(slopes).all())
    assert float(jnp.abs(slopes[jnp.array([0, 1, 6])]).max()) == 0


@pytest.mark.long
def test_weighted_frames_alone_give_the_committor_of_overdamped_dynamics_in_a_double_well_beside_an_idle_column():
    random = np.random.default_rng(0)
    x = random.uniform(-1.3, 1.3, (3000, 2))
    energy = 4 * (x[:, 0] ** 2 - 1) ** 2
    data = Trajectories([x], weights=[np.exp(-energy)])
    a, b = Intervals((-np.inf,), (-0.9,), columns=(0,)), Intervals((0.9,), (np.inf,), columns=(0,))
    model = NetworkCommittor(a, b, DirichletLoss()).fit(data)
    line = np.linspace(-0.9, 0.9, 2001)
    exact = np.cumsum(np.exp(4 * (line**2 - 1) ** 2))
    exact = (exact - exact[0]) / (exact[-1] - exact[0])
    shown = np.stack([line[::20], random.uniform(-1, 1, len(line[::20]))], axis=1)
    off = model.transform(shown)[:, 0] - exact[::20]
    assert np.sqrt((off**2).mean()) < 0.03
    assert np.sqrt((off**2).mean()) < 3 * np.sqrt((model.error(shown) ** 2).mean())
