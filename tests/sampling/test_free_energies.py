"""Free energies of model potentials, known from quadrature, found by every kind of bias within its errors."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.free_energies.difference import agreement, free_energy_difference
from thalweg.free_energies.reweighting import MBAR
from thalweg.geometry.variables import Coordinates
from thalweg.potentials.energy import Energy
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.metadynamics import Metadynamics, WellTemperedMetadynamics
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.learn_and_drive import WEIGHTS
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.segment import Segment
from thalweg.sampling.store import Store
from thalweg.sampling.tasks.learned_variable import LearnedVariable
from thalweg.sampling.tasks.reweigh import WeightedFrames
from thalweg.systems.state import thermal_state
from thalweg.testsystems.muller_brown import MullerBrown
from thalweg.testsystems.wells import DoubleWell

DOUBLE_WELL = 0.9494
"""F(x > 0) - F(x < 0) of 5 (x^2 - 1)^2 + x / 2, in kT."""

MULLER_BROWN = 3.634
"""F(y < 0.75) - F(y > 0.75) of Müller-Brown / 10, in kT."""


class Ring(Energy):
    """A particle on a line with the energy of a ring."""

    def __call__(self, positions, box=None):
        return 4 * jnp.cos(positions[0, 0]) + jnp.sin(positions[0, 0])


class Angle(eqx.Module):
    """The coordinate of a particle on a line, seen as an angle."""

    names = ("angle",)
    units = ("rad",)
    periods = (2 * np.pi,)

    def __call__(self, positions, box=None):
        x = positions[0]
        return x - 2 * jnp.pi * jnp.round(x / (2 * jnp.pi))


def engine(potential, dt):
    return NativeEngine.for_potential(potential, np.ones(1), Overdamped(kT=1.0, dt=dt))


def start(x, walkers, seed=0):
    positions = jnp.broadcast_to(jnp.asarray(x, jnp.float32)[None, :, None], (1, len(x), walkers))
    return thermal_state(positions, np.ones(1), 1.0, jax.random.key(seed))


def metadynamics(potential, x, dt, steps, variable, lower, upper, width):
    """Recordings of 16 walkers under a growing and then the held bias."""
    bias = WellTemperedMetadynamics(
        variable, lower, upper, [width] * len(lower), height=0.3, bias_factor=6.0, kT=1.0, stride=100
    )
    run = engine(potential, dt).run
    growing = run(start(x, 16), steps, save_every=50, bias=bias)
    return growing, run(growing.state, steps, save_every=50, bias=FrozenBias(bias, growing.bias_state))


def difference(recording, region, skip=0.25):
    """F(region) - F(rest), without the first frames."""
    first = int(skip * recording.energy.shape[1])
    inside = [region(walk[first:, 0]) for walk in recording.positions]
    weights = [energy[first:].astype(float) for energy in recording.bias_energy]
    found = free_energy_difference(inside, [~x for x in inside], weights, kT=1.0)
    assert not found.shortcomings
    return found


CASES = {
    "double well": (
        (DoubleWell(5.0, 0.5), [-1.0], 1e-3, 60_000, Coordinates([0], dims=1), [-2.0], [2.0], 0.1),
        lambda x: x[:, 0] > 0,
        DOUBLE_WELL,
    ),
    "Müller-Brown": (
        (
            MullerBrown(10.0), [-0.558, 1.442], 2e-4, 200_000,
            Coordinates([0], dims=2), [-1.8, -0.6], [1.4, 2.4], 0.1,
        ),
        lambda x: x[:, 1] < 0.75,
        MULLER_BROWN,
    ),
    "angle": (
        (Ring(), [-3.0], 2e-3, 60_000, Angle(), [-np.pi], [np.pi], 0.2),
        lambda x: np.sin(x[:, 0]) > 0,
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case == "angle" else pytest.mark.long) for case in CASES]
)
def test_metadynamics_gives_exact_free_energies_while_it_grows_and_when_held(case):
    settings, region, exact = CASES[case]
    if exact is None:
        x = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
        weight = np.exp(-4 * np.cos(x) - np.sin(x))
        exact = -np.log(weight[np.sin(x) > 0].sum() / weight[np.sin(x) < 0].sum())
    for recording in metadynamics(*settings):
        found = difference(recording, region)
        assert abs(found.value - exact) < 3 * found.error
        assert found.error < 0.3


def test_a_row_of_umbrellas_and_mbar_give_the_exact_free_energy_difference():
    """Fifteen windows in one run, four times over; the mean within three of its standard errors."""
    centers = np.repeat(np.linspace(-1.4, 1.4, 15), 4)
    restraint = HarmonicRestraint(Coordinates([0], dims=1), centers[None], [40.0])
    held = engine(DoubleWell(5.0, 0.5), 5e-4)
    state = start([0.0], 60)
    state = eqx.tree_at(lambda s: s.positions, state, jnp.asarray(centers, jnp.float32)[None, None])
    frames = held.run(state, 120_000, save_every=40, bias=restraint).positions[:, 200:, 0, 0].astype(float)
    found = []
    for copy in range(4):
        x = frames[copy::4].ravel()
        energies = 20 * (x - centers[::4, None]) ** 2
        model = MBAR(kT=1.0).fit(energies, np.full(15, len(x) // 15))
        assert model.converged
        assert model.least_overlap > 0.01
        weights = np.exp(model.log_weights)
        found.append(-np.log(weights[x > 0].sum() / weights[x < 0].sum()))
    assert abs(np.mean(found) - DOUBLE_WELL) < 3 * np.std(found, ddof=1) / 2
    assert np.std(found) < 0.25


@pytest.mark.long
def test_least_counts_cross_where_plain_walks_would_not(toy, tmp_path):
    """Müller-Brown / 10 has a mean first passage time of 1981; plain walks as long as
    these of each seed, 80, would cross in 4 % of the cases."""
    policy = MarkovRestarts(
        toy.RECIPE, seeds=(0, 1, 2, 3), walkers=8, swarms=20, length=0.5, save_every=0.01, lagtime=0.01, states=60
    )  # fmt: skip
    store = Store(tmp_path)
    drive(store, policy)
    lowest = [
        min(Segment.read(store, entry).features[..., 1].min() for entry in policy.entries(seed))
        for seed in policy.seeds
    ]
    assert np.count_nonzero(np.array(lowest) < 0.1) >= 3


@pytest.mark.long
def test_the_loop_learns_the_slow_variable_and_two_seeds_agree_on_the_free_energy(toy, tmp_path):
    store = Store(tmp_path)
    policy = replace(
        toy.LOOP,
        walkers=16, swarm=4.0, drive=12.0, produce=24.0, segment=12.0, save_every=0.01,
        bias=Metadynamics(height=0.3, bias_factor=8.0, stride=0.02), lagtime=0.1, skip=4.0,
    )  # fmt: skip
    drive(store, policy)
    frames = WeightedFrames.read(store, WEIGHTS)
    assert frames.card["converged"]
    found = []
    for run in range(2):
        lower = [walk[:, 1] < 0.75 for walk in frames.walks("features", run)]
        weights = frames.walks("log_weights", run)
        found.append(free_energy_difference(lower, [~x for x in lower], weights, kT=1.0))
        assert abs(found[-1].value - MULLER_BROWN) < 3 * found[-1].error
    assert agreement(found).startswith("2 estimates agree")
    for seed in policy.seeds:
        segment = Segment.read(store, policy.entries(seed, "produce")[0])
        learned = LearnedVariable.read(store, f"models/s{seed}-c1-learn-000").values(segment.features[0])
        np.testing.assert_allclose(learned, segment.values[0], atol=1e-4)
