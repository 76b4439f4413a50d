"""What every bias must do, tried on each with a distance and an angle, and settings of one on a variable of its own."""

from __future__ import annotations

from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.engine import Bias, Exchanging
from thalweg.geometry.composed_variables import Concatenate
from thalweg.geometry.variables import Dihedrals, Distances
from thalweg.learning.storage import load_tree, save_tree
from thalweg.sampling.bias.adaptive_force import AdaptiveBiasingForce
from thalweg.sampling.bias.committor_bias import CommittorBias
from thalweg.sampling.bias.frozen import FrozenBias
from thalweg.sampling.bias.kolmogorov import Kolmogorov
from thalweg.sampling.bias.metadynamics import Metadynamics, WellTemperedMetadynamics
from thalweg.sampling.bias.method import BiasMethod, Limits
from thalweg.sampling.bias.moving import MovingRestraint
from thalweg.sampling.bias.opes import OPES, OPESExplore
from thalweg.sampling.bias.static import StaticBias
from thalweg.sampling.bias.sum_of_biases import SumOfBiases
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.bias.walls import Walls
from thalweg.sampling.exchange.scaled_bias import ScaledBias
from thalweg.studies.tables.doors import BIASES, DOORS
from thalweg.studies.tables.language import choose

VARIABLE = Concatenate(Distances([[0, 1]]), Dihedrals([[0, 1, 2, 3]]))
KT = 2.5
GROWING = WellTemperedMetadynamics(
    VARIABLE, lower=np.array([0.0, -np.pi]), upper=np.array([1.0, np.pi]), widths=np.array([0.1, 0.4]),
    height=1.5, bias_factor=6.0, kT=KT, stride=10,
)  # fmt: skip
LIMITS = Limits(np.array([0.0, -np.pi]), np.array([1.0, np.pi]), np.array([0.05, 0.2]))
EXAMPLES = {
    "HarmonicRestraint": HarmonicRestraint(VARIABLE, np.array([0.5, 1.0]), np.array([30.0, 4.0])),
    "WellTemperedMetadynamics": GROWING,
    "MeanForceBias": AdaptiveBiasingForce(full_samples=1, stride=0.02).on(VARIABLE, LIMITS, KT, 0.002),
    "EnhancedProbability": OPES(barrier=20.0, stride=0.02).on(VARIABLE, LIMITS, KT, 0.002),
    "EnhancedProbability: exploring": OPESExplore(barrier=20.0, stride=0.02).on(VARIABLE, LIMITS, KT, 0.002),
    "Walls": Walls(VARIABLE, [0.4, -1.0], [0.6, 2.0], [300.0, 30.0]),
    "StaticBias": StaticBias(VARIABLE, lambda values: 5 * values[0] * jnp.cos(values[1])),
    "MovingRestraint": MovingRestraint(VARIABLE, [0.5, 1.0], [1.5, 1.0], [30.0, 4.0], jumps=3, stride=10),
    "KolmogorovBias": Kolmogorov().on(VARIABLE.variables[0], None, KT, 0.002),
    "SumOfBiases": SumOfBiases(
        Metadynamics(height=1.5, bias_factor=6.0, stride=0.02).on(
            VARIABLE.variables[0], Limits(*(x[:1] for x in LIMITS)), KT, 0.002
        ),
        Walls(VARIABLE.variables[1], [-1.0], [2.0], [30.0]),
    ),
    "ScaledBias": ScaledBias(HarmonicRestraint(VARIABLE, np.array([0.5, 1.0]), np.array([30.0, 4.0])), 0.4),
    "FrozenBias": FrozenBias(GROWING, GROWING.update(GROWING.init(), jnp.array([[0.4, 0.6], [1.0, 2.0]]))),
}
METHODS = {
    "Metadynamics": Metadynamics(height=1.2, bias_factor=8.0, stride=0.1),
    "AdaptiveBiasingForce": AdaptiveBiasingForce(full_samples=10, stride=0.1),
    "Kolmogorov": Kolmogorov(strength=1.0, floor=1e-4),
    "CommittorBias": CommittorBias(OPES(barrier=30.0, stride=0.1), strength=0.5),
    "OPES": OPES(barrier=30.0, stride=0.1),
    "OPESExplore": OPESExplore(barrier=30.0, stride=0.1),
}
OF_ONE_VALUE = {"Kolmogorov"}
"""Methods for variables of one value."""

VALUES = np.array([[0.35, 0.52, 0.7], [0.8, 2.1, -1.4]], np.float32)
"""A distance [nm] and an angle [rad] of three replicas."""


@pytest.fixture(params=EXAMPLES)
def bias(request):
    return EXAMPLES[request.param]


def grown(bias):
    """The state after a few deposits."""
    state = bias.init()
    for shift in (0.0, 0.02, 0.04):
        state = bias.update(state, jnp.asarray(VALUES + np.float32(shift)))
    return state


def test_every_bias_has_an_example_here(public, without_example):
    # on a ladder, and in independent runs, each replica has a bias of its own
    biases = public(Bias, "sampling", "dynamics") - public(Exchanging, "sampling") - {"IndependentBiases"}
    assert not without_example(biases, EXAMPLES)
    assert not without_example(public(BiasMethod, "sampling"), METHODS)


def test_it_is_a_bias(bias):
    assert isinstance(bias, Bias)
    assert bias.stride is None or bias.stride >= 1


def test_every_replica_has_a_finite_energy_of_its_own(bias):
    energies = bias.energy(grown(bias), jnp.asarray(VALUES))
    assert energies.shape == (3,)
    assert energies.dtype == jnp.float32
    for replica in range(3):
        alone = bias.energy(grown(bias), jnp.asarray(VALUES[:, replica]))
        assert alone.shape == ()
        np.testing.assert_allclose(alone, energies[replica], rtol=1e-5, atol=1e-6)


def test_its_force_is_the_gradient_of_its_energy(bias):
    state, step = grown(bias), 1e-3
    for value in range(2):
        shift = np.zeros((2, 1), np.float32)
        shift[value] = step
        slope = jax.grad(lambda x: bias.energy(state, x).sum())(jnp.asarray(VALUES))[value]
        before, after = (bias.energy(state, jnp.asarray(VALUES + s * shift)) for s in (-1, 1))
        # of 32-bit energies of up to 10 kJ/mol over two steps: 1e-6 / 2e-3, and the step's own error
        np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=1e-2, atol=2e-2)


def test_a_turn_by_a_whole_period_changes_nothing(bias):
    turned = VALUES + np.array([[0], [2 * np.pi]], np.float32)
    np.testing.assert_allclose(
        bias.energy(grown(bias), jnp.asarray(turned)),
        bias.energy(grown(bias), jnp.asarray(VALUES)),
        atol=1e-3,
    )


def test_growing_is_a_function_of_state_and_values(bias):
    state = bias.init()
    kept = jax.tree.map(np.array, state)
    first, second = (bias.update(state, jnp.asarray(VALUES)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, state, kept)
    assert jax.tree.structure(first) == jax.tree.structure(state)
    for before, after in zip(
        jax.tree.leaves(state), jax.tree.leaves(first)
    ):  # or a compiled loop could not carry it
        assert (np.shape(before), np.asarray(before).dtype) == (np.shape(after), np.asarray(after).dtype)


def test_a_broken_replica_deposits_nothing(bias):
    broken = VALUES.copy()
    broken[:, 1] = np.nan
    sound = bias.update(bias.init(), jnp.asarray(np.delete(VALUES, 1, 1)))
    state = bias.update(bias.init(), jnp.asarray(broken))
    places = jnp.asarray(VALUES)
    np.testing.assert_allclose(bias.energy(state, places), bias.energy(sound, places), rtol=1e-5, atol=1e-6)


def test_a_static_bias_stays_and_a_growing_one_pushes_away(bias):
    before, after = (bias.energy(s, jnp.asarray(VALUES)) for s in (bias.init(), grown(bias)))
    if bias.stride is None:
        np.testing.assert_array_equal(after, before)
    else:  # compared with where nobody was: constants push nowhere
        elsewhere = jnp.array([[0.95], [-3.0]])
        constant = bias.energy(grown(bias), elsewhere) - bias.energy(bias.init(), elsewhere)
        assert (after > before + constant + 0.5).all()


def test_what_has_grown_is_saved_and_goes_on_as_before(bias, tmp_path):
    state = load_tree(save_tree(tmp_path / "state", grown(bias)))
    values = jnp.asarray(VALUES)
    np.testing.assert_array_equal(bias.energy(state, values), bias.energy(grown(bias), values))
    jax.tree.map(np.testing.assert_array_equal, bias.update(state, values), bias.update(grown(bias), values))


@pytest.mark.parametrize("method", METHODS)
def test_settings_make_a_bias_of_any_variable_that_has_not_grown_yet(method):
    limits = Limits(np.array([0.1, -np.pi]), np.array([0.9, np.pi]), np.array([0.05, 0.3]))
    assert isinstance(METHODS[method], BiasMethod)
    bias = METHODS[method].on(
        VARIABLE.variables[0] if method in OF_ONE_VALUE else VARIABLE, limits, KT, 0.002
    )
    assert isinstance(bias, Bias)
    energies = bias.energy(bias.init(), jnp.asarray(VALUES))
    assert np.isfinite(energies).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_study_may_name_it_and_say_nothing_else(method):
    bias, resolved = choose(BIASES, {"kind": method}, "campaign.bias", DOORS)
    assert isinstance(bias, BiasMethod)
    assert set(resolved) == {
        "kind", *(each.name for each in fields(bias) if getattr(bias, each.name) is not None)
    }  # fmt: skip
