"""The native engine against OpenMM's best platform: alanine dipeptide on one core, hydrogens constrained on both sides.

Processor time of one step of one replica. OpenMM runs one replica on its Reference platform, the fastest for
a molecule of this size; ours runs 32 in one loop. Repeats of the two alternate, so that a busy machine slows
both. The learned bias is a spring on a network: 45 distances of heavy atoms, 16 hidden units, one value.
OpenMM gets the same bias in its cheapest form, a ``CustomCVForce`` of one bonded force per hidden unit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import openmm

from thalweg.dynamics.engine import Bias
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.temperature import thermal_start
from thalweg.geometry.composed_variables import Composed
from thalweg.geometry.variables import Distances
from thalweg.interop.openmm.molecules import alanine_dipeptide
from thalweg.report.benchmark import Row
from thalweg.sampling.bias.umbrella import HarmonicRestraint
from thalweg.systems.system import System
from thalweg.units import BOLTZMANN, thermal_energy

REPLICAS = 32
KT = thermal_energy(300.0)
FRICTION = 1.0
CENTER, STIFFNESS = 0.1, 20.0

OPENMM_STEPS = 4
"""Steps OpenMM does for each of ours, so that its share can be timed."""


class Network(eqx.Module):
    """``w2 . tanh(W1 r + b1)`` of distances r."""

    inner: jax.Array
    shift: jax.Array
    outer: jax.Array

    def __call__(self, distances):
        hidden = jnp.tensordot(self.inner, distances, 1)
        return jnp.tensordot(
            self.outer, jnp.tanh(hidden + self.shift.reshape(-1, *(1,) * (hidden.ndim - 1))), 1
        )


class Side(NamedTuple):
    """One of the two sides: ``run(steps)`` does ``replicas`` steps in all for each of ``steps``."""

    run: Callable[[int], object]
    replicas: int


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Vacuum and OBC2 solvent, without and with the learned bias, and 4 fs with heavy hydrogens."""
    repeats, steps = (5, 500) if quick else (9, 2000)
    for solvent in ("vacuum", "obc2"):
        system = alanine_dipeptide(solvent)
        sides = [
            side(system, 0.002, learned)
            for learned in (None, _network(system))
            for side in (_native, _openmm)
        ]
        ours, theirs, ours_biased, theirs_biased = _alternating(sides, repeats, steps)
        yield _row(f"alanine dipeptide, {solvent}, 2 fs", ours, theirs)
        yield _row(f"alanine dipeptide, {solvent}, 2 fs, learned bias", ours_biased, theirs_biased)
        share, their_share = 100 * (ours_biased / ours - 1), 100 * (theirs_biased / theirs - 1)
        yield Row(
            test=f"alanine dipeptide, {solvent}: cost of the learned bias",
            value=round(float(np.median(share)), 1),
            unit="% of a step",
            spread=_spread(share),
            target="< 30 %",
            met=bool(np.median(share) < 30),
            peer=_peer(),
            peer_value=round(float(np.median(their_share)), 1),
        )
    heavy = alanine_dipeptide("vacuum", hydrogen_mass=3.024)
    sides = [_native(heavy, 0.004, None), _openmm(heavy, 0.004, None)]
    yield _row("alanine dipeptide, vacuum, 4 fs, heavy hydrogens", *_alternating(sides, repeats, steps))


def _row(test: str, ours: np.ndarray, theirs: np.ndarray) -> Row:
    ratio = float(np.median(theirs / ours))
    return Row(
        test=f"{test}, {REPLICAS} replicas",
        value=round(float(np.median(ours)), 3),
        unit="us per step and replica",
        spread=_spread(ours),
        target="ratio >= 2",
        met=ratio >= 2,
        peer=_peer(),
        peer_value=round(float(np.median(theirs)), 3),
        ratio=round(ratio, 2),
    )


def _alternating(sides: list[Side], repeats: int, steps: int) -> np.ndarray:
    """Microseconds per step and replica (sides, repeats); all sides are timed once in every repeat."""
    for side in sides:
        side.run(steps)  # compiles and warms up
    times = [[_seconds(side, steps) for side in sides] for _ in range(repeats)]
    return 1e6 / steps * np.array(times).T / np.array([[side.replicas] for side in sides])


def _seconds(side: Side, steps: int) -> float:
    start = time.process_time()
    side.run(steps)
    return time.process_time() - start


def _native(system: System, dt: float, learned) -> Side:
    engine = NativeEngine(system, Langevin(KT, dt, FRICTION))
    start = thermal_start(system, KT, jax.random.key(1), REPLICAS)
    bias: Bias | None = None
    if learned is not None:
        network, pairs = learned
        variable = Composed(network, Distances(pairs, system.topology), names=("slow",))
        bias = HarmonicRestraint(variable, [CENTER], [STIFFNESS])
    return Side(lambda steps: engine.run(start, steps, save_every=500, bias=bias), REPLICAS)


def _openmm(system: System, dt: float, learned) -> Side:
    theirs = openmm.XmlSerializer.deserialize(system.openmm_xml)
    if learned is not None:
        theirs.addForce(_exported(*learned))
    integrator = openmm.LangevinMiddleIntegrator(KT / BOLTZMANN, FRICTION, dt)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(theirs, integrator, openmm.Platform.getPlatform("Reference"))
    context.setPositions(system.positions)
    context.setVelocitiesToTemperature(KT / BOLTZMANN, 1)

    def run(steps):
        integrator.step(OPENMM_STEPS * steps)
        return context.getState(positions=True)

    return Side(run, OPENMM_STEPS)


def _network(system: System) -> tuple[Network, np.ndarray]:
    """A random network on all distances of heavy atoms."""
    random = np.random.default_rng(0)
    pairs = np.array(list(combinations(system.topology.heavy_atoms, 2)))
    weights = random.normal(size=(16, len(pairs))) / np.sqrt(len(pairs)), random.normal(size=16)
    outer = random.normal(size=(1, 16)) / 4
    return Network(*(jnp.asarray(a, jnp.float32) for a in (*weights, outer))), pairs


def _exported(network: Network, pairs: np.ndarray) -> openmm.CustomCVForce:
    """The spring on the network, one collective variable per hidden unit."""
    inner, shift, outer = (np.asarray(a, float) for a in (network.inner, network.shift, network.outer[0]))
    hidden = " + ".join(f"({w:.9g})*tanh(z{j} + ({b:.9g}))" for j, (w, b) in enumerate(zip(outer, shift)))
    force = openmm.CustomCVForce(f"{STIFFNESS / 2}*(s - {CENTER})^2; s = {hidden}")
    for j, row in enumerate(inner):
        sum_of_distances = openmm.CustomBondForce("w*r")
        sum_of_distances.addPerBondParameter("w")
        for weight, (a, b) in zip(row, pairs):
            sum_of_distances.addBond(int(a), int(b), [weight])
        force.addCollectiveVariable(f"z{j}", sum_of_distances)
    return force


def _spread(values: np.ndarray) -> float:
    return round(float((values.max() - values.min()) / 2), 3)


def _peer() -> str:
    return f"OpenMM {openmm.Platform.getOpenMMVersion()} Reference"
