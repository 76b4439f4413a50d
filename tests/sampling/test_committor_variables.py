"""Committors as variables of positions: a bias on each acts in our engine and in OpenMM, by its gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from thalweg.collective_variables.bases.polynomials import Polynomials
from thalweg.collective_variables.neural.encoder import Scaling
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.variables import Coordinates
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.network_committor import CommittorModel
from thalweg.kinetics.galerkin.adapted_kernels import AdaptedKernels
from thalweg.kinetics.galerkin.dynamical_galerkin import DynamicalGalerkin
from thalweg.kinetics.reactions.regions import Ellipsoid
from thalweg.potentials.energy import Energy
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.model_variable import model_variable
from thalweg.systems.state import thermal_state
from thalweg.systems.system import System

END = 2.5
A, B = Ellipsoid((1.0, 0.0, 0.0), 0.2), Ellipsoid((np.cos(END), np.sin(END), 0.0), 0.2)
MASSES, BATH = np.array([10.0]), Langevin(2.5, 0.002, friction=5.0)


def on_arc(turn: np.ndarray) -> np.ndarray:
    """Places [nm] on an arc of radius one ``(..., 3)``."""
    return np.stack([np.cos(turn), np.sin(turn), np.zeros(turn.shape)], axis=-1)


def galerkin(basis):
    """The committor of a walk along the arc, from short runs begun anywhere."""
    random = np.random.default_rng(0)
    turn = random.uniform(0, END, (150, 1)) + np.cumsum(random.normal(0, 0.08, (150, 20)), axis=1)
    places = on_arc(np.clip(turn, 0, END))
    runs = list(places + random.normal(0, 0.02, places.shape))
    return DynamicalGalerkin(A, B, 8, basis, samples=0, n_blocks=10).fit(runs)


def network():
    """A committor of random weights: restraints and gradients know nothing of where a function comes from."""
    scale = Scaling(np.zeros(3, np.float32), np.full(3, 0.5, np.float32))
    members = tuple(LogitNetwork.init(scale, (8,), A, B, jax.random.key(k)) for k in range(2))
    return CommittorModel(members, np.zeros(2), 100.0, np.zeros((1, 3)), ("x", "y", "z"))


MODELS = {
    "Galerkin, polynomials": lambda: galerkin(Polynomials(2)),
    "Galerkin, adapted kernels": lambda: galerkin(AdaptedKernels(15, rounds=1)),
    "network": network,
}


class Groove(Energy):
    """A particle near the arc, in a groove of width 0.02 nm."""

    def __call__(self, positions, box=None):
        x, y, z = positions[0]
        away = jnp.sqrt(x * x + y * y) - 1.0
        return 0.5 * 2.5 / 0.02**2 * (away**2 + z**2)


def native() -> NativeEngine:
    return NativeEngine.for_potential(Groove(), MASSES, BATH)


def in_openmm() -> OpenMMEngine:
    theirs = openmm.System()
    theirs.addParticle(float(MASSES[0]))
    groove = openmm.CustomExternalForce(f"{0.5 * 2.5 / 0.02**2} * ((sqrt(x^2 + y^2) - 1)^2 + z^2)")
    groove.addParticle(0)
    theirs.addForce(groove)
    xml = openmm.XmlSerializer.serialize(theirs)
    return OpenMMEngine(System(native().topology, np.zeros((1, 3)), MASSES, Groove(), openmm_xml=xml), BATH)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "network" else pytest.mark.long) for name in MODELS]
)
def test_gradients_are_those_of_differences(name):
    variable = model_variable(MODELS[name](), Coordinates([0]))
    # not at the ends, where the limits of a probability leave no gradient
    x = on_arc(np.linspace(0.5, 2.0, 9)).T[None].astype(np.float32)
    slope = np.asarray(jax.grad(lambda positions: variable(positions).sum())(jnp.asarray(x)))
    assert np.abs(slope).max(axis=(0, 1)).min() > 0.05
    for k in range(3):
        step = np.zeros((1, 3, 1), np.float32)
        step[0, k] = 2e-3
        # of fourth order, since single precision forbids shorter steps
        values = [np.asarray(variable(jnp.asarray(x + n * step)), float)[0] for n in (-2, -1, 1, 2)]
        difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * 2e-3)
        np.testing.assert_allclose(slope[0, k], difference, atol=2e-3 * np.abs(slope).max())


@pytest.mark.long
@pytest.mark.parametrize("engine", [native, in_openmm])
@pytest.mark.parametrize("name", MODELS)
def test_a_restraint_of_a_committor_holds_a_particle_where_it_is_told_to(name, engine):
    variable = model_variable(MODELS[name](), Coordinates([0]))
    along = on_arc(np.linspace(0.5, 2.0, 151))
    q = np.asarray(variable(jnp.asarray(along.T[None], jnp.float32)))[0]
    start, goal = q[30], q[120]
    restraint = HarmonicRestraint(variable, [goal], [2.5 / 0.04**2])
    replicas, steps = (8, 6000) if engine is native else (2, 9000)
    positions = jnp.tile(jnp.asarray(along[30], jnp.float32)[None, :, None], (1, 1, replicas))
    state = thermal_state(positions, MASSES, 2.5, jax.random.key(0))
    recording = engine().run(state, steps, save_every=50, bias=restraint, bias_state=restraint.init())
    kept = np.asarray(recording.positions, np.float32)[:, recording.positions.shape[1] // 2 :]
    held = np.asarray(variable(jnp.asarray(kept.reshape(-1, 1, 3).transpose(1, 2, 0))))
    # the spread is that of the restraint, but for the curvature of the function
    assert abs(start - goal) > 0.15
    assert abs(held.mean() - goal) < 0.03
    assert 0.02 < held.std() < 0.06
