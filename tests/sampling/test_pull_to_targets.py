"""Walkers come to their targets, each to its own, on every engine; those without one stay where they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.torsions import backbone_dihedrals
from thalweg.geometry.variables import Dihedrals
from thalweg.interop.openmm.engine import OpenMMEngine
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.sampling.apparatus import Apparatus
from thalweg.sampling.tasks.pull_to_targets import pulled
from thalweg.systems.state import thermal_state
from thalweg.units import thermal_energy

KT = thermal_energy(300.0)


@pytest.mark.parametrize("engine", [NativeEngine, OpenMMEngine])
def test_each_walker_comes_to_its_own_target(engine):
    system = alanine_dipeptide("vacuum")
    rows = [tuple(int(a) for a in backbone_dihedrals(system.topology)[name][0]) for name in ("phi", "psi")]
    start, masses = np.asarray(system.positions, float), np.asarray(system.masses, float)
    apparatus = Apparatus(
        engine(system, Langevin(kT=KT, dt=0.002, friction=5.0)), Dihedrals(rows), start, masses, KT,
        constraints=system.constraints,
    )  # fmt: skip
    places = jnp.asarray(np.repeat(start[..., None], 3, axis=-1), jnp.float32)
    begun = np.asarray(apparatus.features(places), float)
    targets = begun.T + np.array([[0.0, 1.2], [0.0, -1.2], [np.nan, np.nan]])
    state, arrived = pulled(apparatus, thermal_state(places, masses, KT, jax.random.key(0)), targets, 2.0)
    assert arrived.tolist() == [0, 1]
    away = np.asarray(apparatus.features(state.positions), float)[:, :2] - targets[:2].T
    # thermal deviations are 0.15 of the way of 1.2
    assert np.abs(np.angle(np.exp(1j * away))).max() < 4 * 0.15 * 1.2
