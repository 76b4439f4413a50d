"""Maps of manifolds as variables of positions: a bias on each acts in our engine and in OpenMM.

How much a restraint lets the coordinate vary is as exact as the force is the gradient of its energy.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

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
from thalweg.collective_variables.manifold.embeddings.sketch_map import SketchMap
from thalweg.collective_variables.manifold.embeddings.tangent_spaces import LTSA
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.variables import Coordinates
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.potentials.energy import Energy
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.sampling.model_variable import model_variable
from thalweg.systems.state import thermal_state
from thalweg.systems.system import System

METHODS = {
    "kernel PCA": KernelPCA(dim=1, left_out=0),
    "classical scaling": ClassicalMDS(dim=1, left_out=0),
    "metric scaling": MetricMDS(dim=1, left_out=0),
    "sketch-map": SketchMap(dim=1, sweeps=0, left_out=0),
    "Isomap": Isomap(dim=1, left_out=0),
    "locally linear": LocallyLinearEmbedding(dim=1, left_out=0),
    "tangent spaces": LTSA(dim=1, left_out=0),
    "Hessian": HessianEigenmaps(dim=1, left_out=0),
    "Laplacian": LaplacianEigenmaps(dim=1, left_out=0),
    "unfolding": MaximumVarianceUnfolding(dim=1, left_out=0),
    "independent": ICA(dim=1, left_out=0),
}
QUICK = {"Isomap"}
each = pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, id=name, marks=() if name in QUICK else pytest.mark.long)
        for name, method in METHODS.items()
    ],
)


def arc(count: int) -> np.ndarray:
    """Frames ``(count, 3)`` [nm] of a particle on an arc of radius one."""
    random = np.random.default_rng(0)
    turn = random.uniform(0.0, 2.5, count)
    flat = np.stack([np.cos(turn), np.sin(turn), np.zeros(count)], axis=1)
    return flat + random.normal(0, 0.02, flat.shape)


class Groove(Energy):
    """A particle near the arc, in a groove of width 0.02 nm."""

    def __call__(self, positions, box=None):
        x, y, z = positions[0]
        away = jnp.sqrt(x * x + y * y) - 1.0
        return 0.5 * 2.5 / 0.02**2 * (away**2 + z**2)


def native(masses: np.ndarray, bath: Langevin) -> NativeEngine:
    return NativeEngine.for_potential(Groove(), masses, bath)


def in_openmm(masses: np.ndarray, bath: Langevin) -> OpenMMEngine:
    theirs = openmm.System()
    theirs.addParticle(float(masses[0]))
    groove = openmm.CustomExternalForce(f"{0.5 * 2.5 / 0.02**2} * ((sqrt(x^2 + y^2) - 1)^2 + z^2)")
    groove.addParticle(0)
    theirs.addForce(groove)
    xml = openmm.XmlSerializer.serialize(theirs)
    system = System(native(masses, bath).topology, np.zeros((1, 3)), masses, Groove(), openmm_xml=xml)
    return OpenMMEngine(system, bath)


@pytest.mark.parametrize("engine", [native, in_openmm])
@each
def test_a_restraint_of_a_map_holds_a_particle_where_it_is_told_to(method, engine):
    x = arc(80)
    model = method.fit(x)
    variable = model_variable(model, Coordinates([0]))
    places = np.sort(model.transform(x)[:, 0])
    start, goal, spread = places[20], places[60], places.std()
    restraint = HarmonicRestraint(variable, [goal], [400.0 / spread**2])
    at_start = x[np.abs(model.transform(x)[:, 0] - start).argmin()]
    masses, replicas, steps = np.array([10.0]), *((8, 6000) if engine is native else (2, 9000))
    positions = jnp.tile(jnp.asarray(at_start, jnp.float32)[None, :, None], (1, 1, replicas))
    state = thermal_state(positions, masses, 2.5, jax.random.key(0))
    running = engine(masses, Langevin(2.5, 0.002, friction=5.0))
    recording = running.run(state, steps, save_every=50, bias=restraint, bias_state=restraint.init())
    kept = np.asarray(recording.positions, np.float32)[:, recording.positions.shape[1] // 2 :]
    held = np.asarray(variable(jnp.asarray(kept.reshape(-1, 1, 3).transpose(1, 2, 0))))
    # kT / k leaves a spread of 0.08
    assert abs(held.mean() - goal) < 0.1 * spread
    assert 0.05 < held.std() / spread < 0.12
    assert abs(start - goal) > 0.5 * spread
